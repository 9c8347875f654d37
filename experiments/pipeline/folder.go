package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/filelock"
	"triality/runtime/model"
	"triality/runtime/modelfiles"
	"triality/runtime/safetensors"
)

func exists(path string) bool {
	_, err := disk.Stat(path)
	return err == nil
}

// stageFolder writes a folder whole or not at all; an old one is replaced.
func stageFolder(dir string, fill func(tmp string) error) error {
	if err := atomicfile.WriteFolder(dir, fill); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	return nil
}

// writeModel writes a model folder, whole or not at all. like is the folder of the model that it is made
// of, whose tokenizer, chat templates, generation defaults and licence it takes over.
func writeModel(ctx context.Context, out, like string, cfg model.Config, weights model.Source, dtype safetensors.DType) error {
	return stageFolder(out, func(tmp string) error {
		return errors.Join(modelfiles.Copy(like, tmp), cfg.Save(tmp), model.Save(tmp, model.WithContext(ctx, weights), dtype))
	})
}

// claim keeps other processes out of a folder that training writes checkpoints to, until release.
func claim(dir string) (release func(), err error) {
	made := !exists(dir)
	if err := disk.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, ".lock")
	if err := disk.Inside(path); err != nil {
		return nil, err
	}
	unlock, err := filelock.Hold(path)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w; use a folder whose file system has locks", path, err)
	}
	if unlock == nil {
		return nil, experiments.Errorf(experiments.CodeConflict, "%s: another process is writing there; wait for it, or name another folder", dir)
	}
	return func() {
		unlock()
		if made {
			disk.Remove(dir) // where the call wrote nothing
		}
	}, nil
}
