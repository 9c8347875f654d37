package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/objects"
)

// outgoing is an object to send.
type outgoing struct {
	name string // for messages
	id   objects.ID
	open func() (content, error)
	gone func() bool // whether there is no use in sending it any more
}

// content is what an outgoing object is read from.
type content interface {
	io.ReaderAt
	io.Closer
}

// errGone is about a file that was removed or replaced before it was sent whole.
var errGone = errors.New("it is gone")

// bytesOut is an object in memory.
func bytesOut(name string, data []byte) outgoing {
	return outgoing{
		name: name, id: objects.Of(data), gone: func() bool { return false },
		open: func() (content, error) { return inMemory{bytes.NewReader(data)}, nil },
	}
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// fileOut is a file as it was when it was hashed.
func fileOut(h *hashes, path string, id objects.ID, at state) outgoing {
	same := func(info fs.FileInfo, err error) bool { return err == nil && h.stateOf(info) == at }
	return outgoing{
		name: path, id: id,
		gone: func() bool { return !same(os.Stat(path)) },
		open: func() (content, error) {
			f, err := disk.OpenRegular(path)
			if err != nil {
				return nil, errGone
			}
			if !same(f.Stat()) {
				return nil, errors.Join(errGone, f.Close())
			}
			return f, nil
		},
	}
}

// send brings objects to the server. It gives those that were gone before they were there.
func (l link) send(ctx context.Context, list []outgoing) (gone map[objects.ID]bool, err error) {
	gone = map[objects.ID]bool{}
	s := sender{link: l, gone: gone, refused: map[objects.ID]string{}, tries: map[objects.ID]int{}}
	for len(list) > 0 {
		var missing []outgoing
		var at []int64
		for batch := range chunks(list, maxPieces) {
			ids := make([]objects.ID, len(batch))
			for i, o := range batch {
				ids[i] = o.id
			}
			var reply haveReply
			if err := l.call(ctx, methodHave, haveArgs{ids}, &reply); err != nil {
				return gone, err
			}
			if len(reply.At) != len(batch) {
				return gone, experiments.Errorf(experiments.CodeInvalid, "%d objects were asked about and %d answered", len(batch), len(reply.At))
			}
			for i, o := range batch {
				switch n := reply.At[i]; {
				case n == whole || gone[o.id]:
				case n < 0 || n > o.id.Size:
					return gone, experiments.Errorf(experiments.CodeInvalid, "%s: the server has %d bytes of %d", o.name, n, o.id.Size)
				default:
					missing, at = append(missing, o), append(at, n)
				}
			}
		}
		for _, o := range missing {
			if s.tries[o.id]++; s.tries[o.id] > 3 {
				return gone, experiments.Errorf(experiments.CodeInvalid, "%s: it did not arrive whole in %d tries: %s", o.name, s.tries[o.id]-1, s.refused[o.id])
			}
		}
		if err := s.pass(ctx, missing, at); err != nil {
			return gone, err
		}
		list = missing
	}
	return gone, nil
}

// chunks cuts a list into parts of at most n.
func chunks[T any](list []T, n int) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for len(list) > 0 {
			k := min(n, len(list))
			if !yield(list[:k]) {
				return
			}
			list = list[k:]
		}
	}
}

// sender sends messages, several at once.
type sender struct {
	link
	gone  map[objects.ID]bool
	tries map[objects.ID]int

	mu      sync.Mutex
	refused map[objects.ID]string
}

// pass sends the rest of each object once.
func (s *sender) pass(ctx context.Context, list []outgoing, from []int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var under sync.WaitGroup
	slots := make(chan struct{}, inFlight)
	a := &writeArgs{}
	flush := func() error {
		if len(a.Pieces) == 0 {
			return nil
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		message := a
		under.Go(func() {
			defer func() { <-slots }()
			if err := s.write(ctx, message); err != nil {
				cancel(err)
			}
		})
		a = &writeArgs{}
		return nil
	}
	var err error
	for i, o := range list {
		if s.bucket && o.id.Size >= bucketFrom && o.id.Size <= objects.MaxUpload {
			var refused string
			if refused, err = s.putThrough(ctx, o); errors.Is(err, errGone) {
				s.gone[o.id], err = true, nil
			}
			if err != nil {
				break
			}
			s.refuse(o.id, refused)
			continue
		}
		if err = s.pieces(o, from[i], &a, flush); err != nil {
			break
		}
	}
	if err == nil {
		err = flush()
	}
	under.Wait()
	if cause := context.Cause(ctx); err == nil && cause != nil {
		err = cause
	}
	return err
}

// pieces packs an object into messages.
func (s *sender) pieces(o outgoing, at int64, a **writeArgs, flush func() error) (err error) {
	in, err := o.open()
	if errors.Is(err, errGone) {
		s.gone[o.id] = true
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.name, err)
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	for first := true; first || at < o.id.Size; first = false {
		m := *a
		n := int(min(o.id.Size-at, int64(maxPayload-len(m.Data))))
		start := len(m.Data)
		m.Data = append(m.Data, make([]byte, n)...)
		if got, err := in.ReadAt(m.Data[start:], at); got < n {
			m.Data = m.Data[:start]
			if errors.Is(err, io.EOF) || o.gone() {
				s.gone[o.id] = true
				return nil
			}
			return fmt.Errorf("read %s: %w", o.name, err)
		}
		m.Pieces = append(m.Pieces, piece{ID: o.id, Offset: at, Length: n})
		at += int64(n)
		if len(m.Data) == maxPayload || len(m.Pieces) == maxPieces {
			if o.gone() { // a checkpoint that was pruned meanwhile
				s.gone[o.id] = true
				m.Pieces, m.Data = m.Pieces[:len(m.Pieces)-1], m.Data[:start]
				return nil
			}
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// write sends one message.
func (s *sender) write(ctx context.Context, a *writeArgs) error {
	var reply haveReply
	if err := s.call(ctx, methodWrite, a, &reply); err != nil {
		return err
	}
	for i, why := range reply.Refused {
		if why != "" && i < len(a.Pieces) {
			s.refuse(a.Pieces[i].ID, why)
		}
	}
	return nil
}

func (s *sender) refuse(id objects.ID, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[id] = why
}

// Put brings bytes to the server, for a call that names them.
func (p *Workplace) Put(ctx context.Context, r io.Reader) (objects.ID, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPut+1))
	if err != nil {
		return objects.ID{}, err
	}
	if len(data) > maxPut {
		return objects.ID{}, experiments.Errorf(experiments.CodeTooLarge, "it has more than %d bytes", maxPut)
	}
	o := bytesOut("an artifact", data)
	_, err = p.link.send(ctx, []outgoing{o})
	return o.id, err
}

// maxPut bounds what Put holds in memory, as the tracker bounds artifacts.
const maxPut = 1 << 30
