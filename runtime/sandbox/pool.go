package sandbox

import (
	"context"
	"errors"
	"slices"
	"time"
)

// errClosed is in the chain of what a closed Host returns.
var errClosed = errors.New("the host was closed")

// maxIdleInput bounds the memory, in bytes, of tables that stays with idle
// workers, so that the next table finds it ready.
const maxIdleInput = 128 << 20

// A worker serves one module for its whole life, so that nothing one module
// did to it can reach another. Busy workers hold a slot; idle ones wait in
// Host.idle, longest first, each with a timer that ends it.

// acquire returns a worker with the module compiled in it: an idle one, or a
// fresh one.
func (h *Host) acquire(ctx context.Context, m *Module) (*session, error) {
	select {
	case h.slots <- struct{}{}:
	case <-h.life.Done():
		return nil, &Error{Code: ErrCanceled, Err: errClosed}
	case <-ctx.Done():
		return nil, canceled(ctx, "")
	}
	if s := h.takeIdle(m); s != nil {
		s.phase, s.warm = phaseIdle, true
		return s, nil
	}
	return h.open(ctx, m, h.slots, false, h.o.Fuel)
}

// takeIdle returns the worker of the module that was used last, or nil.
func (h *Host) takeIdle(m *Module) *session {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, s := range slices.Backward(h.idle) {
		if s.hash == m.info.SHA256 && s.timer.Stop() {
			h.idle = slices.Delete(h.idle, i, i+1)
			return s
		}
	}
	return nil
}

// release gives a worker back after err: kept where it worked and has life
// left, ended where not.
func (h *Host) release(s *session, err error) {
	if s.ended {
		return // and its slot is free
	}
	if err != nil || h.o.IdleTime < 0 || h.life.Err() != nil || s.spent() {
		s.close()
		return
	}
	var over *session
	h.mu.Lock()
	kept := s.input.size()
	for _, other := range h.idle {
		kept += other.input.size()
	}
	if kept > maxIdleInput {
		s.input.drop()
	}
	if len(h.idle) >= h.o.MaxIdle && h.idle[0].timer.Stop() {
		over = h.idle[0]
		h.idle = slices.Delete(h.idle, 0, 1)
	}
	h.idle = append(h.idle, s)
	s.timer = time.AfterFunc(h.o.IdleTime, func() { h.expire(s) })
	h.mu.Unlock()
	<-s.slots
	if over != nil {
		over.end()
	}
}

// expire ends a worker that nobody wanted. Its timer has fired, so nobody else
// takes it; Close finds it in the list until it is gone.
func (h *Host) expire(s *session) {
	s.end()
	h.mu.Lock()
	h.idle = slices.DeleteFunc(h.idle, func(x *session) bool { return x == s })
	h.mu.Unlock()
}

// Close ends every worker, idle or busy, and returns when they are gone. Calls
// under way and later ones fail with ErrCanceled. Closing twice does nothing.
func (h *Host) Close() error {
	h.endLife()
	h.closing.Do(func() {
		for _, places := range []chan struct{}{h.slots, h.trials.quick.places, h.trials.slow.places} {
			for range cap(places) {
				places <- struct{}{} // no call is under way when all are held
			}
		}
		h.mu.Lock()
		idle := h.idle
		h.idle = nil
		h.mu.Unlock()
		for _, s := range idle {
			if s.timer.Stop() {
				s.end()
			}
			<-s.gone
		}
	})
	return nil
}
