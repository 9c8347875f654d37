package hub

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// cache is a folder in the Hub's layout.
type cache struct {
	dir    string
	copies bool // no links: the files themselves lie in snapshots/

	symlink func(target, at string) error
}

// repoFolder is "models--org--name".
func repoFolder(repo string) string { return "models--" + strings.ReplaceAll(repo, "/", "--") }

func (c cache) repo(repo string) string { return filepath.Join(c.dir, repoFolder(repo)) }

func (c cache) blob(repo, hash string) string { return filepath.Join(c.repo(repo), "blobs", hash) }

func (c cache) snapshot(repo, commit string) string {
	return filepath.Join(c.repo(repo), "snapshots", commit)
}

func (c cache) lockPath(repo, hash string) string {
	return filepath.Join(c.dir, ".locks", repoFolder(repo), hash+".lock")
}

// cacheTag marks a folder that backups may leave out: https://bford.info/cachedir/.
const cacheTag = "Signature: 8a477f597d28d172789f06886806bc55\n# This folder is a cache of model files; it can be downloaded again.\n"

// prepare makes the folders of a repository.
func (c cache) prepare(repo string) error {
	if err := disk.MkdirAll(filepath.Join(c.repo(repo), "blobs"), 0o777); err != nil {
		return diskFailure(fmt.Errorf("hub cache: %w; HF_HUB_CACHE names another folder", err), c.dir)
	}
	tag := filepath.Join(c.dir, "CACHEDIR.TAG")
	if _, err := os.Lstat(tag); errors.Is(err, fs.ErrNotExist) {
		return c.write(tag, []byte(cacheTag))
	}
	return nil
}

// commitOf is the commit that a revision meant when the endpoint was last asked.
func (c cache) commitOf(ref Ref) (commit string, ok bool) {
	if isCommit(ref.Revision) {
		return ref.Revision, true
	}
	text, err := os.ReadFile(filepath.Join(c.repo(ref.Repo), "refs", filepath.FromSlash(ref.Revision)))
	commit = strings.TrimSpace(string(text))
	return commit, err == nil && isCommit(commit)
}

// writeRef keeps what a revision means. A commit needs no reference.
func (c cache) writeRef(ref Ref, commit string) error {
	if old, ok := c.commitOf(ref); ok && old == commit {
		return nil
	}
	return c.write(filepath.Join(c.repo(ref.Repo), "refs", filepath.FromSlash(ref.Revision)), []byte(commit))
}

// has says whether a snapshot has a file, of the listed size where that is known.
func (c cache) has(repo, commit string, f File) bool {
	info, err := os.Stat(filepath.Join(c.snapshot(repo, commit), filepath.FromSlash(f.Path)))
	return err == nil && info.Mode().IsRegular() && (f.Size < 0 || info.Size() == f.Size)
}

// link puts a blob under its name into a snapshot: a relative link, or where the system refuses links
// (Windows without developer mode) the file itself: a new blob is moved there, an old one copied, as
// huggingface_hub does.
func (c cache) link(repo, commit string, f File, hash string, isNew bool) error {
	at := filepath.Join(c.snapshot(repo, commit), filepath.FromSlash(f.Path))
	if err := disk.MkdirAll(filepath.Dir(at), 0o777); err != nil {
		return diskFailure(fmt.Errorf("hub cache: %w", err), c.dir)
	}
	if err := disk.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hub cache: replace a damaged file: %w", err)
	}
	blob := c.blob(repo, hash)
	if !c.copies {
		target, err := filepath.Rel(filepath.Dir(at), blob)
		if err == nil {
			err = c.symlink(target, at)
		}
		switch {
		case err == nil:
			return disk.SyncDir(filepath.Dir(at))
		case errors.Is(err, fs.ErrExist), isDiskFull(err):
			return diskFailure(fmt.Errorf("hub cache: %w", err), c.dir)
		}
	}
	if isNew {
		if err := disk.Rename(blob, at); err != nil {
			return fmt.Errorf("hub cache: %w", err)
		}
		return disk.SyncDir(filepath.Dir(at))
	}
	from, err := os.Open(blob)
	if err != nil {
		return fmt.Errorf("hub cache: %w", err)
	}
	defer from.Close()
	return diskFailure(atomicfile.WriteFile(at, 0o644, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	}), c.dir)
}
