package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/objects"
)

// changes looks at what the job's steps have to send: the files as they are now, and those of their bytes that no commit
// has had.
func (p *Workplace) changes(ctx context.Context) (now map[string]File, list []outgoing, err error) {
	if err := disk.RemoveAll(p.outbox); err != nil { // of a pass that was cut
		return nil, nil, err
	}
	s := changed{Workplace: p, now: map[string]File{}, queued: map[objects.ID]bool{}}
	for _, r := range p.results {
		units, err := r.unitsBelow(p.Dir)
		if err != nil {
			return nil, nil, err
		}
		for _, u := range units {
			if err := s.unit(ctx, u); err != nil {
				return nil, nil, err
			}
		}
	}
	return s.now, s.list, nil
}

// changed gathers what changes gives.
type changed struct {
	*Workplace
	now    map[string]File
	list   []outgoing
	queued map[objects.ID]bool
	links  int // in the outbox
}

// unit adds a step's files. A step whose files are removed or replaced meanwhile stays what the commit before had.
func (s *changed) unit(ctx context.Context, u unit) error {
	at := filepath.Join(s.Dir, filepath.FromSlash(u.tree))
	names, finished, err := u.filesOf(at)
	if err != nil {
		return err
	}
	var files []File
	var list []outgoing
	for _, name := range names {
		f, out, err := s.file(ctx, name, at+filepath.FromSlash(strings.TrimPrefix(name, u.tree)), finished)
		if errors.Is(err, errGone) {
			s.keep(u)
			return nil
		}
		if err != nil {
			return err
		}
		files, list = append(files, f), append(list, out)
	}
	for i, f := range files {
		s.now[f.Path] = f
		if s.committed[f.Path] != f && !s.queued[f.ID] {
			s.queued[f.ID] = true
			s.list = append(s.list, list[i])
		}
	}
	return nil
}

// keep takes a step's files from the commit before.
func (s *changed) keep(u unit) {
	for path, f := range s.committed {
		if strings.HasPrefix(path, u.tree+"/") || isCheckpoint(u, path) {
			s.now[path] = f
		}
	}
}

// file hashes a file. A checkpoint that is to be sent gets a second name, so that it can be sent whole while the step
// prunes it: where checkpoints come faster than they are sent, each would be gone before it was there.
func (s *changed) file(ctx context.Context, name, path string, finished bool) (File, outgoing, error) {
	id, at, err := s.worker.hashes.of(ctx, path)
	switch {
	case ctx.Err() != nil:
		return File{}, outgoing{}, ctx.Err()
	case errors.Is(err, fs.ErrNotExist), experiments.CodeOf(err) == experiments.CodeConflict:
		return File{}, outgoing{}, errGone
	case err != nil:
		return File{}, outgoing{}, err
	}
	f := File{Path: name, ID: id, Mode: 0o644}
	if !finished && s.committed[name] != f {
		if err := disk.MkdirAll(s.outbox, 0o700); err != nil {
			return f, outgoing{}, err
		}
		s.links++
		second := filepath.Join(s.outbox, fmt.Sprint(s.links))
		switch err := disk.Link(path, second); {
		case errors.Is(err, fs.ErrNotExist):
			return f, outgoing{}, errGone
		case err == nil:
			path = second
		}
	}
	return f, fileOut(s.worker.hashes, path, id, at), nil
}
