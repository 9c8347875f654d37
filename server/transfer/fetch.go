package transfer

import (
	"context"
	"errors"
	"fmt"

	"triality/experiments"
	"triality/server/objects"
)

// fetcher gets objects from the server, in order, with several messages under way.
type fetcher struct {
	link     link
	into     objects.Store
	owner    string
	tell     ProgressFunc
	progress Progress
}

func (f *fetcher) told() {
	if f.tell != nil {
		f.tell(f.progress)
	}
}

// asked is a message under way.
type asked struct {
	files  []File // of each piece
	pieces []piece
	reply  readReply
	done   chan error
}

// get fetches objects, each named once, and verifies them. One that arrives damaged is fetched once more.
func (f *fetcher) get(ctx context.Context, files []File) error {
	for range 2 {
		var large, small []File
		for _, file := range files {
			if f.link.bucket && file.Size >= bucketFrom {
				large = append(large, file)
			} else {
				small = append(small, file)
			}
		}
		damaged, err := f.pass(ctx, small)
		for _, file := range large {
			if err != nil {
				return err
			}
			f.progress.File = file.Path
			err = f.link.getThrough(ctx, file, f.into, f.owner, func(n int64) { f.progress.Done += n; f.told() })
			if errors.Is(err, objects.ErrDamaged) {
				damaged, err = append(damaged, file), nil
				f.progress.Done -= file.Size
			}
		}
		if err != nil || len(damaged) == 0 {
			return err
		}
		files = damaged
	}
	return experiments.Errorf(experiments.CodeInvalid, "%s: it arrived damaged twice: %w", files[0].Path, objects.ErrDamaged)
}

func (f *fetcher) pass(ctx context.Context, files []File) (damaged []File, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	queue, asking := make(chan *asked, inFlight-1), make(chan error, 1)
	go func() {
		defer close(queue)
		asking <- f.ask(ctx, files, queue)
	}()
	w := &writing{fetcher: f}
	for a := range queue {
		if e := <-a.done; err == nil {
			err = e
		}
		if err == nil {
			err = w.take(ctx, a)
		}
		if err != nil {
			cancel() // those under way come to their end
			continue
		}
		f.told()
	}
	if w.part != nil {
		err = errors.Join(err, w.part.Close())
	}
	if err == nil {
		err = <-asking
	}
	return w.damaged, err
}

// ask sends the messages, packed: small files share one, a large one takes many.
func (f *fetcher) ask(ctx context.Context, files []File, queue chan<- *asked) error {
	a, size := &asked{}, 0
	send := func() error {
		if len(a.pieces) == 0 {
			return nil
		}
		a.done = make(chan error, 1)
		select {
		case queue <- a:
		case <-ctx.Done():
			return ctx.Err()
		}
		go func(a *asked) { a.done <- f.link.call(ctx, methodRead, readArgs{a.pieces}, &a.reply) }(a)
		a, size = &asked{}, 0
		return nil
	}
	for _, file := range files {
		at, err := f.into.Started(ctx, file.ID, f.owner)
		if err != nil {
			return fmt.Errorf("%s: %w", file.Path, err)
		}
		for first := true; first || at < file.Size; first = false {
			p := piece{ID: file.ID, Offset: at, Length: int(min(file.Size-at, int64(maxPayload-size)))}
			a.pieces, a.files = append(a.pieces, p), append(a.files, file)
			at += int64(p.Length)
			if size += p.Length; size == maxPayload || len(a.pieces) == maxPieces {
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	return send()
}

// writing is the object that a fetcher is at.
type writing struct {
	*fetcher
	part    objects.Part
	damaged []File
}

// take writes what a message has brought.
func (w *writing) take(ctx context.Context, a *asked) error {
	want := 0
	for _, p := range a.pieces {
		want += p.Length
	}
	rest := a.reply.Data
	if len(rest) != want {
		return experiments.Errorf(experiments.CodeInvalid, "%s: %d bytes were asked for and %d came", a.files[0].Path, want, len(rest))
	}
	for i, p := range a.pieces {
		if err := w.write(ctx, a.files[i], p, rest[:p.Length]); err != nil {
			return fmt.Errorf("%s: %w", a.files[i].Path, err)
		}
		rest = rest[p.Length:]
	}
	return nil
}

func (w *writing) write(ctx context.Context, file File, p piece, data []byte) (err error) {
	if w.part == nil {
		if w.part, err = w.into.Begin(ctx, p.ID, w.owner); err != nil {
			return err
		}
		w.progress.Done += w.part.Size()
	}
	if w.part.Size() != p.Offset {
		return fmt.Errorf("%d bytes of it are there where %d were", w.part.Size(), p.Offset)
	}
	n, err := w.part.Write(data)
	w.progress.Done, w.progress.File = w.progress.Done+int64(n), file.Path
	if err != nil || w.part.Size() < p.Size {
		return err
	}
	err = w.part.Commit(ctx)
	w.part = nil
	if errors.Is(err, objects.ErrDamaged) {
		w.damaged = append(w.damaged, file)
		w.progress.Done -= p.Size
		return nil
	}
	return err
}
