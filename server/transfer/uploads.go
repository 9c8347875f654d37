package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"triality/experiments"
	"triality/server/objects"
)

// Bounds of what an attempt sends at once.
const (
	maxAhead = 2 * inFlight * maxPayload // bytes of an object that came before those that belong in front of them
	maxOpen  = 64                        // objects that are being received
)

// uploads are the objects that an attempt is sending. Messages come in any order; an object is written in its own.
type uploads struct {
	store objects.Store
	owner string

	mu     sync.Mutex
	open   map[objects.ID]*upload
	closed bool
}

type upload struct {
	mu    sync.Mutex
	part  objects.Part
	ahead map[int64][]byte
	held  int // bytes in ahead
	used  time.Time
	ended bool // another upload of the object may begin
}

// of gives the upload of an object, locked; nil where the one that was there has just ended.
func (u *uploads) of(ctx context.Context, id objects.ID) (*upload, error) {
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return nil, errEnded
	}
	x := u.open[id]
	if x == nil {
		if u.open == nil {
			u.open = map[objects.ID]*upload{}
		}
		u.shrink()
		x = &upload{ahead: map[int64][]byte{}}
		u.open[id] = x
	}
	x.used = time.Now()
	u.mu.Unlock()
	x.mu.Lock()
	if x.ended {
		x.mu.Unlock()
		return nil, nil
	}
	if x.part != nil {
		return x, nil
	}
	part, err := u.store.Begin(ctx, id, u.owner)
	if err != nil {
		u.forget(id, x)
		x.mu.Unlock()
		return nil, err
	}
	x.part = part
	return x, nil
}

var errEnded = experiments.Errorf(experiments.CodeConflict, "the attempt has ended")

// shrink closes the upload that was used longest ago where there are many. What it has written stays. The caller holds
// mu.
func (u *uploads) shrink() {
	if len(u.open) < maxOpen {
		return
	}
	var oldest objects.ID
	for id, x := range u.open {
		if o := u.open[oldest]; o == nil || x.used.Before(o.used) {
			oldest = id
		}
	}
	x := u.open[oldest]
	delete(u.open, oldest)
	go x.close()
}

func (x *upload) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended = true
	if x.part != nil {
		x.part.Close() // nothing of a part is promised
		x.part = nil
	}
}

// forget ends an upload. The caller holds x.mu.
func (u *uploads) forget(id objects.ID, x *upload) {
	u.mu.Lock()
	defer u.mu.Unlock()
	x.ended = true
	if u.open[id] == x {
		delete(u.open, id)
	}
}

// close leaves what is there for the next attempt, and takes nothing more.
func (u *uploads) close() {
	u.mu.Lock()
	open := u.open
	u.open, u.closed = nil, true
	u.mu.Unlock()
	for _, x := range open {
		x.close()
	}
}

// size is how much is there of an object that is not whole.
func (u *uploads) size(ctx context.Context, id objects.ID) (int64, error) {
	u.mu.Lock()
	x := u.open[id]
	u.mu.Unlock()
	if x != nil {
		if !x.mu.TryLock() {
			return 0, experiments.Errorf(experiments.CodeUnavailable, "object %.12s is being written", id.SHA256)
		}
		defer x.mu.Unlock()
		if x.part != nil {
			return x.part.Size(), nil
		}
	}
	return u.store.Started(ctx, id, u.owner)
}

// write takes stretches of objects. An object that has all its bytes is verified, and refused where they are not those
// of its name; then it is as if nothing of it had come.
func (u *uploads) write(ctx context.Context, a *writeArgs) (haveReply, error) {
	if err := check(a.Pieces); err != nil {
		return haveReply{}, err
	}
	want := 0
	for _, p := range a.Pieces {
		want += p.Length
	}
	if want != len(a.Data) {
		return haveReply{}, experiments.Errorf(experiments.CodeInvalid, "the pieces have %d bytes, and %d were sent", want, len(a.Data))
	}
	out := haveReply{At: make([]int64, len(a.Pieces)), Refused: make([]string, len(a.Pieces))}
	rest := a.Data
	for i, p := range a.Pieces {
		var err error
		out.At[i], err = u.take(ctx, p, rest[:p.Length])
		rest = rest[p.Length:]
		if errors.Is(err, objects.ErrDamaged) {
			out.At[i], out.Refused[i] = 0, err.Error()
		} else if err != nil {
			return out, err
		}
	}
	return out, nil
}

func (u *uploads) take(ctx context.Context, p piece, data []byte) (int64, error) {
	var x *upload
	for x == nil {
		there, err := u.store.Has(ctx, []objects.ID{p.ID})
		if err != nil || there[0] {
			return whole, err
		}
		if x, err = u.of(ctx, p.ID); err != nil {
			return 0, err
		}
	}
	defer x.mu.Unlock()
	if p.Offset > x.part.Size() {
		if _, ok := x.ahead[p.Offset]; !ok && x.held+len(data) <= maxAhead {
			x.ahead[p.Offset] = bytes.Clone(data)
			x.held += len(data)
		}
		return x.part.Size(), nil
	}
	for data != nil {
		if skip := x.part.Size() - p.Offset; skip < int64(len(data)) {
			if _, err := x.part.Write(data[skip:]); err != nil {
				return 0, errors.Join(err, u.fail(p.ID, x))
			}
		}
		p.Offset = x.part.Size()
		data = x.ahead[p.Offset]
		delete(x.ahead, p.Offset)
		x.held -= len(data)
	}
	if x.part.Size() < p.Size {
		return x.part.Size(), nil
	}
	err := x.part.Commit(ctx)
	x.part = nil
	u.forget(p.ID, x)
	if err != nil {
		return 0, err
	}
	return whole, nil
}

// fail closes an upload whose file could not be written. The caller holds x.mu.
func (u *uploads) fail(id objects.ID, x *upload) error {
	u.forget(id, x)
	err := x.part.Close()
	x.part = nil
	return err
}

// readWhole reads an object and holds it to its name.
func readWhole(r io.Reader, id objects.ID) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, id.Size+1))
	if err != nil {
		return nil, err
	}
	if objects.Of(data) != id {
		return nil, experiments.Errorf(experiments.CodeInvalid, "object %.12s: %w", id.SHA256, objects.ErrDamaged)
	}
	return data, nil
}
