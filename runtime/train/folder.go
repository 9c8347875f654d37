package train

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// folder is where the checkpoints of one run are kept, as checkpoint-STEP.ckpt.
type folder struct {
	dir      string
	limit    int // kept; 0 = all
	observer Observer
	damaged  map[string]bool // paths that were found damaged
}

// openFolder makes dir where needed and removes what a killed process left half written.
func openFolder(dir string, limit int, o Observer) (*folder, error) {
	if err := disk.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	if _, err := atomicfile.RemoveStale(dir); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	return &folder{dir: dir, limit: limit, observer: o, damaged: map[string]bool{}}, nil
}

type checkpointFile struct {
	path string
	step int
}

// list returns the checkpoint files, newest first.
func (f *folder) list() ([]checkpointFile, error) {
	entries, err := disk.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	var files []checkpointFile
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), "checkpoint-")
		text, ok2 := strings.CutSuffix(text, ".ckpt")
		step, err := strconv.Atoi(text)
		if !ok || !ok2 || err != nil || !e.Type().IsRegular() {
			continue
		}
		files = append(files, checkpointFile{filepath.Join(f.dir, e.Name()), step})
	}
	slices.SortFunc(files, func(a, b checkpointFile) int { return cmp.Compare(b.step, a.step) })
	return files, nil
}

// newest hands the newest undamaged checkpoint to use; found is false where there is none. It tells
// the observer of the damaged ones it passes. A whole checkpoint of another run is ErrOtherRun.
func (f *folder) newest(identity map[string]string, use func(*checkpoint) error) (found bool, err error) {
	files, err := f.list()
	if err != nil {
		return false, err
	}
	for _, file := range files {
		c, open, err := openCheckpoint(file.path)
		if errors.Is(err, ErrDamaged) {
			f.damaged[file.path] = true
			f.observer.Checkpoint(CheckpointEvent{Action: Rejected, Path: file.path, Step: file.step, Reason: err.Error()})
			continue
		}
		if err != nil {
			return false, fmt.Errorf("checkpoints: %w", err)
		}
		defer open.Close()
		if err := checkIdentity(file.path, c.Identity, identity); err != nil {
			return false, err
		}
		return true, use(c)
	}
	return false, nil
}

// write adds a checkpoint and prunes those beyond the limit; with a limit, damaged ones go too. read
// is writeCheckpoint's.
func (f *folder) write(c *checkpoint, read func(i int) (any, error)) error {
	began := time.Now()
	path := filepath.Join(f.dir, fmt.Sprintf("checkpoint-%d.ckpt", c.Step))
	size, err := writeCheckpoint(path, c, read)
	if err != nil {
		return fmt.Errorf("checkpoint at step %d: %w", c.Step, err)
	}
	delete(f.damaged, path)
	f.observer.Checkpoint(CheckpointEvent{Action: Written, Path: path, Step: c.Step, Bytes: size, Took: time.Since(began)})
	return f.prune(c.Step)
}

func (f *folder) prune(newest int) error {
	if f.limit == 0 {
		return nil
	}
	files, err := f.list()
	if err != nil {
		return err
	}
	kept := 0
	for _, file := range files {
		if !f.damaged[file.path] && kept < f.limit || file.step == newest {
			kept++
			continue
		}
		if err := disk.Remove(file.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("prune checkpoints: %w", err)
		}
		delete(f.damaged, file.path)
		f.observer.Checkpoint(CheckpointEvent{Action: Pruned, Path: file.path, Step: file.step})
	}
	return nil
}
