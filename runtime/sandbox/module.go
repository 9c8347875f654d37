package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"triality/runtime/metricabi"
)

// maxKnown bounds how many modules' descriptions a Host remembers.
const maxKnown = 256

// Module is a module that passed preflight, ready to be evaluated many times:
// its bytes are hashed and scanned once. It belongs to its Host.
type Module struct {
	h    *Host
	wasm []byte
	info *ModuleInfo
}

// Load runs preflight, or finds that these bytes passed it before. The caller
// must not change wasm afterwards.
func (h *Host) Load(wasm []byte) (*Module, error) {
	h.scans <- struct{}{}
	defer func() { <-h.scans }()
	sum := sha256.Sum256(wasm)
	hash := hex.EncodeToString(sum[:])
	h.mu.Lock()
	k := h.known[hash]
	h.mu.Unlock()
	m := &Module{h: h, wasm: wasm, info: k.info}
	if m.info == nil {
		info, err := Preflight(wasm)
		if err != nil {
			return nil, err
		}
		m.info = info
		h.remember(m, nil)
	}
	if m.info.MemoryBytes+m.info.TableBytes > h.o.MemoryBytes {
		return nil, failf(ErrMemory, "preflight", "its memory starts at %d bytes and its tables take %d, at most %d together",
			m.info.MemoryBytes, m.info.TableBytes, h.o.MemoryBytes)
	}
	return m, nil
}

// known is what a Host remembers of a module by its hash.
type known struct {
	info        *ModuleInfo
	description *metricabi.Description // nil: not asked for yet
}

func (h *Host) remember(m *Module, d *metricabi.Description) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) >= maxKnown {
		clear(h.known) // each is found out again in milliseconds
	}
	h.known[m.info.SHA256] = known{m.info, d}
}

// Info is what preflight found.
func (m *Module) Info() ModuleInfo { return *m.info }

// description returns the module's checked description, which is asked for
// once. It must not be changed.
func (m *Module) description(ctx context.Context) (*metricabi.Description, error) {
	h := m.h
	h.mu.Lock()
	d := h.known[m.info.SHA256].description
	h.mu.Unlock()
	if d != nil {
		return d, nil
	}
	err := h.withWorker(ctx, m, func(s *session) (err error) {
		d, err = s.describe(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	h.remember(m, d)
	return d, nil
}

// withWorker runs work on a worker of the module. A warm worker that turns out
// to have died while it was idle is replaced, once.
func (h *Host) withWorker(ctx context.Context, m *Module, work func(*session) error) error {
	for {
		s, err := h.acquire(ctx, m)
		if err != nil {
			return err
		}
		err = work(s)
		died := s.warm && s.phase == phaseIdle && errors.Is(err, ErrWorker)
		h.release(s, err) // from here on it may be another's
		if !died {
			return err
		}
		// Each round takes one idle worker away, so this ends.
	}
}

// Evaluate is Host.Evaluate for this module.
func (m *Module) Evaluate(ctx context.Context, t metricabi.Table, params map[string]any) ([]metricabi.Result, Usage, error) {
	start := time.Now()
	var u Usage
	results, err := m.evaluate(ctx, t, params, &u)
	if e := (*Error)(nil); errors.As(err, &e) {
		u.Log = e.Log
		if u.Fuel == 0 {
			u.Fuel = e.fuel
		}
	}
	u.WallSeconds = time.Since(start).Seconds()
	return results, u, err
}

func (m *Module) evaluate(ctx context.Context, t metricabi.Table, params map[string]any, u *Usage) (results []metricabi.Result, err error) {
	d, err := m.description(ctx)
	if err != nil {
		return nil, err
	}
	at := time.Now()
	table, size, err := m.h.input(d, t, params)
	u.Stages.Check = time.Since(at).Seconds()
	if err != nil {
		return nil, err
	}
	u.InputBytes = size
	err = m.h.withWorker(ctx, m, func(s *session) error {
		u.Notes = append(u.Notes, s.notes...)
		block, rep, err := s.evaluate(ctx, table, size)
		if err != nil {
			return err
		}
		if !s.warm {
			u.CompileSeconds = s.compileSeconds
		}
		check, encode := u.Stages.Check, s.encodeSeconds
		u.Stages = rep.Stages
		u.Stages.Check, u.Stages.Encode = check, encode
		u.EvalSeconds, u.MemoryBytes, u.OutputBytes, u.Log, u.Fuel = rep.EvalSeconds, rep.MemoryBytes, int64(len(block)), rep.Log, rep.Fuel
		at := time.Now()
		results, err = m.h.decode(d, block, t.Rows, rep.Log)
		u.Stages.Decode = time.Since(at).Seconds()
		return err
	})
	return results, err
}
