package sandbox

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
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
)

// cache keeps compiled modules between workers: files named MODULE.KEY.SUM, by
// the hash of the module, wazero's name for the code, and the hash of the
// file. wazero checks only a part of such a file, and only by a CRC, so that a
// damaged one could be run; here a file that is not what its name says is
// thrown away before a worker sees it.
//
// A worker gets a folder of its own, with a link to the file it may need;
// what it compiled is taken over from there. So neither a worker that is
// killed nor another process with the same cache leaves half a file.
type cache struct {
	dir  string
	most int64 // bytes of all files
}

// cachePlace is one worker's folder; the zero value is none.
type cachePlace struct {
	c      *cache
	dir    string
	module string
	inner  string                 // the folder in which wazero keeps files of its version
	linked map[string]fs.FileInfo // what it was given, by key
}

// cacheError is a fault of the cache, which a module can do without.
type cacheError struct{ err error }

// Error leaves names of files out: those of workers differ each time, and what
// is the same is said once.
func (e *cacheError) Error() string {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(e.err, &path):
		return path.Op + ": " + path.Err.Error()
	case errors.As(e.err, &link):
		return link.Op + ": " + link.Err.Error()
	}
	return e.err.Error()
}

func (e *cacheError) Unwrap() error { return e.err }

// unused is the note on a module compiled without the cache.
func (c *cache) unused(fault string) string {
	return fmt.Sprintf("the cache of compiled modules, %s, cannot be used: %s; the module was compiled without it, which takes longer each time", c.dir, fault)
}

// isCacheFault reports whether wazero failed to compile for its cache's sake:
// it reads and writes no other file.
func isCacheFault(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	var call *os.SyscallError
	return errors.As(err, &path) || errors.As(err, &link) || errors.As(err, &call) || strings.Contains(err.Error(), "compilationcache:")
}

// staging is how folders of workers begin.
const staging = "worker-"

// place makes the folder for a worker of a module. healed says what was
// damaged and thrown away. The caller removes the place.
func (c *cache) place(module string) (p cachePlace, healed string, err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return p, "", &cacheError{err}
	}
	if err := checkPrivate(c.dir); err != nil {
		return p, "", &cacheError{err}
	}
	dir, err := os.MkdirTemp(c.dir, staging)
	if err != nil {
		return p, "", &cacheError{err}
	}
	p = cachePlace{c: c, dir: dir, module: module}
	if healed, err = p.fill(); err != nil {
		p.remove()
		return cachePlace{}, healed, &cacheError{err}
	}
	return p, healed, nil
}

// fill puts the module's files where wazero looks for them.
func (p *cachePlace) fill() (healed string, err error) {
	// It makes the folder that it would use; there is no other way to its name.
	probe, err := wazero.NewCompilationCacheWithDir(p.dir)
	if err != nil {
		return "", err
	}
	if err := probe.Close(context.Background()); err != nil {
		return "", err
	}
	inner, err := os.ReadDir(p.dir)
	if err != nil {
		return "", err
	}
	if len(inner) != 1 {
		return "", fmt.Errorf("%s holds %d entries, want the one that wazero makes", p.dir, len(inner))
	}
	p.inner = filepath.Join(p.dir, inner[0].Name())
	list, err := os.ReadDir(p.c.dir)
	if err != nil {
		return "", err
	}
	p.linked = map[string]fs.FileInfo{}
	for _, f := range list {
		module, key, sum, ok := splitEntry(f.Name())
		if !ok || module != p.module {
			continue
		}
		file := filepath.Join(p.c.dir, f.Name())
		if got, err := sumOf(file); err != nil || got != sum {
			healed = fmt.Sprintf("the cache of compiled modules held a damaged file, which was removed: %s", file)
			if err := os.RemoveAll(file); err != nil {
				return "", err
			}
			continue
		}
		there := filepath.Join(p.inner, key)
		err := os.Link(file, there)
		if errors.Is(err, fs.ErrExist) {
			continue // two programs that compiled it at once keep a file each; one is enough
		}
		if err != nil {
			return healed, err
		}
		if p.linked[key], err = os.Lstat(there); err != nil {
			return healed, err
		}
		now := time.Now()
		_ = os.Chtimes(file, now, now) // it only tells what was used last
	}
	return healed, nil
}

// keep takes over what the worker compiled, and makes room where that is too
// much.
func (p *cachePlace) keep() error {
	files, err := os.ReadDir(p.inner)
	if err != nil {
		return &cacheError{err}
	}
	for _, f := range files {
		if !f.Type().IsRegular() || strings.Contains(f.Name(), ".") {
			continue // a worker that was killed left it
		}
		from := filepath.Join(p.inner, f.Name())
		info, err := f.Info()
		if err != nil {
			return &cacheError{err}
		}
		if was := p.linked[f.Name()]; was != nil && os.SameFile(was, info) {
			continue
		}
		sum, err := sumOf(from)
		if err != nil {
			return &cacheError{err}
		}
		if err := os.Rename(from, filepath.Join(p.c.dir, strings.Join([]string{p.module, f.Name(), sum}, "."))); err != nil {
			return &cacheError{err}
		}
	}
	if err := p.c.prune(); err != nil {
		return &cacheError{err}
	}
	return nil
}

func (p *cachePlace) remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // what stays is removed by prune
	}
}

// abandoned is the age at which a worker's folder is nobody's.
const abandoned = time.Hour

// prune removes the files used longest ago until the rest is within bounds,
// and what killed processes and earlier versions of this cache left.
func (c *cache) prune() error {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	type entry struct {
		path string
		size int64
		used time.Time
	}
	var entries []entry
	total := int64(0)
	for _, f := range list {
		path := filepath.Join(c.dir, f.Name())
		info, err := f.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process was faster
		}
		if err != nil {
			return err
		}
		old := strings.HasPrefix(f.Name(), staging) && time.Since(info.ModTime()) > abandoned
		if f.IsDir() && (old || strings.HasPrefix(f.Name(), "wazero-")) {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
		if _, _, _, ok := splitEntry(f.Name()); ok && f.Type().IsRegular() {
			entries = append(entries, entry{path, info.Size(), info.ModTime()})
			total += info.Size()
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.used.Compare(b.used) })
	for _, e := range entries {
		if total <= c.most {
			break
		}
		if err := os.Remove(e.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= e.size
	}
	return nil
}

// splitEntry takes the name of a cached file apart.
func splitEntry(name string) (module, key, sum string, ok bool) {
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return "", "", "", false
	}
	for _, p := range parts {
		if b, err := hex.DecodeString(p); err != nil || len(b) != sha256.Size {
			return "", "", "", false
		}
	}
	return parts[0], parts[1], parts[2], true
}

// sumOf is the hash of a regular file.
func sumOf(path string) (string, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if !st.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a regular file (%v)", path, st.Mode())
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
