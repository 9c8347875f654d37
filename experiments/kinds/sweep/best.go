package sweep

import (
	"fmt"
	"io/fs"
	"path/filepath"

	"triality/experiments/graph"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// handOn puts what a variant's first step gives below the sweep's folder, as links where the file system has them: the
// files of a finished step are replaced and never written to, so that they take no room twice.
func (u *under) handOn(v *graph.Variant) error {
	names := handedOn(u.w.Step.Variants)
	if len(names) == 0 {
		return nil
	}
	return atomicfile.WriteFolder(u.w.File(best), func(dir string) error {
		for _, name := range names {
			if err := link(v.First().Output(name), filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("the best point's %s: %w", name, err)
			}
		}
		return nil
	})
}

// link makes to what from is, a file or a folder.
func link(from, to string) error {
	info, err := disk.Stat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if disk.Link(from, to) == nil {
			return nil
		}
		return atomicfile.CopyFile(from, to)
	}
	if err := disk.Mkdir(to, 0o755); err != nil {
		return err
	}
	entries, err := disk.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			continue // none of a step's
		}
		if err := link(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
