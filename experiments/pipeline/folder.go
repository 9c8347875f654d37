package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"

	"triality/runtime/atomicfile"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/tokenizer"
)

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// stageFolder writes a folder whole or not at all; an old one is replaced.
func stageFolder(dir string, fill func(tmp string) error) error {
	if err := atomicfile.WriteFolder(dir, fill); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	return nil
}

// writeModel writes a model folder, whole or not at all.
func writeModel(ctx context.Context, out string, cfg model.Config, weights model.Source, dtype safetensors.DType, tok *tokenizer.Tokenizer) error {
	return stageFolder(out, func(tmp string) error {
		return errors.Join(cfg.Save(tmp), model.Save(tmp, model.WithContext(ctx, weights), dtype), tok.Save(tmp))
	})
}
