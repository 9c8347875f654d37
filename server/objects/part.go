package objects

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"triality/experiments"
	"triality/runtime/disk"
)

// folderPart is a file in incoming/.
type folderPart struct {
	folder *Folder
	id     ID
	name   string // in incoming/
	file   *disk.File
	hash   hash.Hash
	size   int64
	failed error // after it nothing is written: the file's end is unknown
}

// Begin implements Store. What is there is read once more, since its hash is not kept.
func (f *Folder) Begin(ctx context.Context, id ID, owner string) (Part, error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	if !ownerName.MatchString(owner) {
		return nil, experiments.Errorf(experiments.CodeInvalid, "%.80q is no name of an object's owner", owner)
	}
	p := &folderPart{folder: f, id: id, name: id.SHA256 + "." + owner, hash: sha256.New()}
	f.mu.Lock()
	busy := f.active[p.name]
	f.active[p.name] = true
	f.mu.Unlock()
	if busy {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "object %s: %w", id.short(), ErrBusy)
	}
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Started implements Store.
func (f *Folder) Started(_ context.Context, id ID, owner string) (int64, error) {
	if err := id.Check(); err != nil {
		return 0, err
	}
	info, err := os.Lstat(filepath.Join(f.dir, "incoming", id.SHA256+"."+owner))
	if err != nil || info.Size() > id.Size {
		return 0, nil // Begin starts over
	}
	return info.Size(), nil
}

func (p *folderPart) path() string { return filepath.Join(p.folder.dir, "incoming", p.name) }

func (p *folderPart) open(ctx context.Context) error {
	var err error
	if p.file, err = disk.OpenFile(p.path(), os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return p.refused(err)
	}
	info, err := p.file.Stat()
	if err != nil {
		return p.refused(err)
	}
	if p.size = info.Size(); p.size > p.id.Size {
		p.size = 0
		return p.refused(p.file.Truncate(0))
	}
	n, err := io.Copy(p.hash, contextReader{ctx, io.LimitReader(p.file, p.size)})
	if err == nil && n != p.size {
		err = io.ErrUnexpectedEOF
	}
	return p.refused(err)
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// refused says what the disk refused; a full one may have room later.
func (p *folderPart) refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return experiments.Errorf(experiments.CodeUnavailable, "object %s: no space left in %s: %w", p.id.short(), p.folder.dir, err)
	}
	return fmt.Errorf("object %s: %w", p.id.short(), err)
}

func (p *folderPart) Size() int64 { return p.size }

func (p *folderPart) Write(b []byte) (int, error) {
	if p.failed != nil {
		return 0, p.failed
	}
	if int64(len(b)) > p.id.Size-p.size {
		return 0, experiments.Errorf(experiments.CodeTooLarge, "object %s has %d bytes by its name, and %d were sent", p.id.short(), p.id.Size, p.size+int64(len(b)))
	}
	n, err := p.file.WriteAt(b, p.size)
	p.hash.Write(b[:n])
	p.size += int64(n)
	if err != nil {
		p.failed = p.refused(err)
	}
	return n, p.failed
}

func (p *folderPart) Commit(context.Context) error {
	if p.folder == nil {
		return errClosed
	}
	if p.size != p.id.Size {
		return errors.Join(experiments.Errorf(experiments.CodeInvalid, "object %s has %d bytes by its name, and %d are there", p.id.short(), p.id.Size, p.size), p.Close())
	}
	if sum := hex.EncodeToString(p.hash.Sum(nil)); sum != p.id.SHA256 {
		err := experiments.Errorf(experiments.CodeInvalid, "object %s: %w: their SHA-256 is %s", p.id.short(), ErrDamaged, sum)
		return errors.Join(err, p.discard())
	}
	if err := p.file.Sync(); err != nil {
		return errors.Join(p.refused(err), p.discard()) // what a failed flush left is unknown
	}
	if err := p.file.Close(); err != nil {
		return errors.Join(p.refused(err), p.discard())
	}
	to := p.folder.path(p.id)
	dir := filepath.Dir(to)
	err := disk.MkdirAll(dir, p.folder.perm)
	if err == nil {
		err = disk.Rename(p.path(), to)
	}
	if err == nil {
		err = disk.SyncDir(dir)
	}
	return errors.Join(p.refused(err), p.Close())
}

// discard removes the part.
func (p *folderPart) discard() error {
	path := p.path()
	return errors.Join(p.Close(), disk.Remove(path))
}

func (p *folderPart) Close() error {
	if p.folder == nil {
		return nil
	}
	if p.file != nil {
		p.file.Close() // nothing of a part is promised, and a committed one is closed already
	}
	p.folder.mu.Lock()
	delete(p.folder.active, p.name)
	p.folder.mu.Unlock()
	*p = folderPart{id: p.id, size: p.size, failed: errClosed}
	return nil
}

var errClosed = errors.New("the part is closed")
