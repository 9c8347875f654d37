package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/filelock"
	"triality/server/objects"
)

// installer puts one commit in place.
type installer struct {
	ctx    context.Context
	job    *job
	before map[string]File // what the commit before had
	used   map[objects.ID]bool
}

// install puts a step's files where the step would have written them: those of a finished one as a whole folder.
// Whatever finished result is there already stays: it is the same one.
func (in *installer) install(st *step) error {
	if st.marker(st.server) != nil {
		return nil
	}
	if err := in.mayWrite(st.unit); err != nil {
		return err
	}
	if !st.finished {
		for _, f := range st.files {
			if in.before[f.Path] == f && sizeOf(st.onServer(f.Path)) == f.Size {
				continue
			}
			if err := in.checkpoint(st.onServer(f.Path), f); err != nil {
				return err
			}
		}
		return nil
	}
	err := atomicfile.WriteFolder(st.server, func(dir string) error {
		for _, f := range st.files {
			to := filepath.Join(dir, filepath.FromSlash(f.Path[len(st.tree)+1:]))
			if err := disk.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := in.put(f.ID, to); err != nil {
				return fmt.Errorf("%s: %w", f.Path, err)
			}
		}
		return nil
	})
	if errors.Is(err, atomicfile.ErrBusy) {
		return experiments.Errorf(experiments.CodeUnavailable, "%w", err)
	}
	if err != nil {
		return err
	}
	return disk.RemoveAll(workOf(st.unit))
}

func sizeOf(path string) int64 {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}

// mayWrite refuses a step's folder that is reached through a link, and waits for whoever trains in it here.
func (in *installer) mayWrite(u unit) error {
	at := []string{u.server}
	if u.kind != "" {
		at = append(at, filepath.Dir(u.server))
	}
	for _, dir := range at {
		if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
			return experiments.Errorf(experiments.CodeInvalid, "%s: it is no folder; results are not written through links", dir)
		}
	}
	for _, dir := range append(pipeline.CheckpointFolders(u.server), u.server) {
		lock := filepath.Join(dir, ".lock")
		if _, err := os.Lstat(lock); err != nil {
			continue
		}
		release, err := filelock.Hold(lock)
		if err != nil {
			return fmt.Errorf("lock %s: %w", lock, err)
		}
		if release == nil {
			return experiments.Errorf(experiments.CodeUnavailable, "%s: another process is writing there", dir)
		}
		release()
	}
	return nil
}

// checkpoint puts one file in place.
func (in *installer) checkpoint(to string, f File) error {
	dir := filepath.Dir(to)
	if err := disk.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp := filepath.Join(dir, "."+filepath.Base(to)+".received"+atomicfile.Suffix)
	if err := removeIfThere(tmp); err != nil { // of a commit that was cut
		return err
	}
	err := in.put(f.ID, tmp)
	if err == nil {
		err = disk.Rename(tmp, to)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", f.Path, err), removeIfThere(tmp))
	}
	return disk.SyncDir(dir)
}

func removeIfThere(path string) error {
	if err := disk.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// put gives an object's bytes a name outside the store: a second name for the first file that has them, which costs no
// room, and a copy for others, so that no two results are one file.
func (in *installer) put(id objects.ID, to string) error {
	there, err := in.job.store.Has(in.ctx, []objects.ID{id})
	if err != nil {
		return err
	}
	if !there[0] {
		return experiments.Errorf(experiments.CodeInvalid, "its bytes, %.12s, were not sent", id.SHA256)
	}
	if !in.used[id] {
		in.used[id] = true
		if err := in.job.store.Link(id, to); err == nil {
			return nil
		}
	}
	from, err := in.job.store.Open(in.ctx, id, 0)
	if err != nil {
		return err
	}
	return errors.Join(copyTo(in.ctx, from, id, to), from.Close())
}

// copyTo writes an object's bytes to a new file, flushed, and holds them to its name.
func copyTo(ctx context.Context, from io.Reader, id objects.ID, to string) (err error) {
	f, err := disk.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), contextReader{ctx, from})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); n != id.Size || got != id.SHA256 {
		return experiments.Errorf(experiments.CodeInvalid, "object %.12s: %w: %d bytes with SHA-256 %s", id.SHA256, objects.ErrDamaged, n, got)
	}
	return f.Sync()
}

// prune removes the checkpoints that the commit before had and this one has not, as the step itself has done. What is
// left of them costs room and no more.
func (in *installer) prune(m Manifest) {
	now := map[string]bool{}
	for _, f := range m.Files {
		now[f.Path] = true
	}
	for path := range in.before {
		if u, ok := unitOf(in.job.results, path); ok && !now[path] && isCheckpoint(u, path) && u.marker(u.server) == nil {
			_ = removeIfThere(u.onServer(path)) // see above
		}
	}
}
