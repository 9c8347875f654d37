package sandbox

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"triality/runtime/metricabi"
)

// minShared is from how many bytes on a block of results goes into shared
// memory.
const minShared = 64 << 10

// call makes a fresh instance, does what the frame asks, and returns the block
// the module answered with: a part of its memory, valid until the instance is
// closed, which is left for after the answer.
func (w *worker) call(ctx context.Context, kind byte, body *io.LimitedReader) (block []byte, rep *reply, err error) {
	w.memory.refused = false
	w.gauge = gauge{full: w.set.Fuel}
	inst := &instance{w: w}
	w.last = inst
	defer func() {
		// wazero turns the module's own faults into errors; a panic here is
		// its initial memory being refused.
		if p := recover(); p != nil {
			block, rep, err = nil, nil, w.explain(fmt.Errorf("%v", p))
		}
		if err != nil {
			inst.close(ctx)
		}
	}()
	start, results := time.Now(), int64(-1)
	if err := inst.open(ctx); err != nil {
		return nil, nil, err
	}
	inst.stages.Instantiate = time.Since(start).Seconds()
	switch kind {
	case frameDescribe:
		block, err = inst.block(ctx, metricabi.ExportDescribe, metricabi.MaxDescriptionBytes)
	case frameEval:
		block, err = inst.eval(ctx, body.N, func(room []byte) error { _, err := io.ReadFull(body, room); return err })
	case frameShared:
		var where [24]byte
		if _, err := io.ReadFull(body, where[:]); err != nil {
			return nil, nil, err
		}
		off, n := int64(binary.LittleEndian.Uint64(where[:])), int64(binary.LittleEndian.Uint64(where[8:]))
		block, err = inst.eval(ctx, n, func(room []byte) error { return w.memory.mapInput(w.shared, off, room) })
		results = int64(binary.LittleEndian.Uint64(where[16:]))
	case frameEvalWarm:
		var table []byte
		if table, err = io.ReadAll(body); err != nil {
			return nil, nil, err
		}
		put := func(room []byte) error { copy(room, table); return nil }
		if _, err = inst.eval(ctx, int64(len(table)), put); err == nil {
			w.gauge.fill() // an account a call
			block, err = inst.eval(ctx, int64(len(table)), put)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	evaluated := time.Now()
	rep = &reply{EvalSeconds: evaluated.Sub(start).Seconds(), MemoryBytes: int64(inst.memory.Size()),
		Fuel: w.gauge.used(), Address: inst.address, Log: w.log.text(), Stages: inst.stages}
	rep.Stages.Module = rep.EvalSeconds - inst.stages.Instantiate - inst.stages.Transfer
	if results < 0 || len(block) < minShared {
		return block, rep, nil
	}
	if _, err := w.shared.WriteAt(block, results); err != nil {
		return block, rep, nil // a limit on the size of files (ulimit -f) holds there, too; the pipe has none
	}
	rep.SharedBytes = int64(len(block))
	rep.Stages.Return = time.Since(evaluated).Seconds()
	return nil, rep, nil
}

// instance is one instantiated module.
type instance struct {
	w       *worker
	mod     api.Module
	memory  api.Memory
	address uint32 // of the table
	stages  Stages
}

func (i *instance) open(ctx context.Context) error {
	if err := i.w.enter("instantiate"); err != nil {
		return err
	}
	// Without a start function of wazero's own choosing: _initialize is called
	// below, in a phase of its own. Clock, sleep and random source are
	// wazero's fakes, which never differ.
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithStdout(i.w.log).WithStderr(i.w.log)
	mod, err := i.w.engine.InstantiateModule(experimental.WithMemoryAllocator(ctx, i.w.memory), i.w.compiled, config)
	if err != nil {
		return i.w.explain(err)
	}
	i.mod, i.memory = mod, mod.ExportedMemory(metricabi.ExportMemory)
	account, ok := mod.ExportedGlobal(i.w.code.fuel).(api.MutableGlobal)
	if !ok {
		return failf(ErrWorker, i.w.phase, "the module lost its fuel account")
	}
	i.w.gauge.account = account
	i.w.gauge.fill()
	if i.w.code.start != "" {
		if _, err := i.call(ctx, i.w.code.start); err != nil {
			return err
		}
	}
	if mod.ExportedFunction(metricabi.ExportInitialize) == nil {
		return nil
	}
	_, err = i.run(ctx, metricabi.ExportInitialize)
	return err
}

func (i *instance) close(ctx context.Context) {
	i.w.last = nil
	if i.mod != nil {
		// Closing runs nothing of the module's; its error is an exit status
		// already reported.
		_ = i.mod.Close(ctx)
	}
	i.w.memory.free()
}

func (i *instance) run(ctx context.Context, name string, args ...uint64) (uint64, error) {
	if err := i.w.enter(name); err != nil {
		return 0, err
	}
	return i.call(ctx, name, args...)
}

// call is run without a phase of its own.
func (i *instance) call(ctx context.Context, name string, args ...uint64) (uint64, error) {
	out, err := i.mod.ExportedFunction(name).Call(ctx, args...)
	if err != nil {
		return 0, i.w.explain(err)
	}
	if i.w.gauge.empty() {
		// It returned on what no check came after.
		return 0, i.w.explain(errEmpty)
	}
	if len(out) == 0 {
		return 0, nil
	}
	return out[0], nil
}

// block calls a function that returns pointer << 32 | length and returns a
// view of those bytes.
func (i *instance) block(ctx context.Context, name string, most int64, args ...uint64) ([]byte, error) {
	v, err := i.run(ctx, name, args...)
	if err != nil {
		return nil, err
	}
	ptr, n := uint32(v>>32), uint32(v)
	if int64(n) > most {
		return nil, failf(ErrInvalidResult, name, "returned a block of %d bytes, at most %d", n, most)
	}
	b, ok := i.memory.Read(ptr, n)
	if !ok {
		return nil, failf(ErrInvalidResult, name, "returned a block at %d to %d, its memory has %d bytes",
			ptr, uint64(ptr)+uint64(n), i.memory.Size())
	}
	return b, nil
}

// eval allocates n bytes in the module, has the table put into them and
// evaluates it.
func (i *instance) eval(ctx context.Context, n int64, put func(room []byte) error) ([]byte, error) {
	v, err := i.run(ctx, metricabi.ExportAlloc, api.EncodeU32(uint32(n)))
	if err != nil {
		return nil, err
	}
	ptr := uint32(v)
	if ptr == 0 || ptr%metricabi.Align != 0 {
		if ptr == 0 && i.w.memory.refused {
			return nil, failf(ErrMemory, metricabi.ExportAlloc, "no room for a table of %d bytes within the limit of %d bytes",
				n, i.w.memory.most)
		}
		return nil, failf(ErrInvalidResult, metricabi.ExportAlloc, "returned %d for %d bytes, want a multiple of %d above 0",
			ptr, n, metricabi.Align)
	}
	room, ok := i.memory.Read(ptr, uint32(n))
	if !ok {
		return nil, failf(ErrInvalidResult, metricabi.ExportAlloc, "returned %d for %d bytes, its memory has %d bytes",
			ptr, n, i.memory.Size())
	}
	at := time.Now()
	if err := put(room); err != nil {
		return nil, err
	}
	i.stages.Transfer = time.Since(at).Seconds()
	i.address = ptr
	return i.block(ctx, metricabi.ExportEval, i.w.set.ResultBytes, uint64(ptr), api.EncodeU32(uint32(n)))
}

// explain turns what wazero says of a failed call into an *Error.
func (w *worker) explain(err error) error {
	var exit *sys.ExitError
	switch {
	case w.gauge.empty():
		return failf(ErrFuel, w.phase, "it used up its fuel of %d instructions", w.gauge.full)
	case w.memory.refused:
		return failf(ErrMemory, w.phase, "it asked for more than its %d bytes of memory%s, then failed: %s", w.memory.most,
			because(w.granted.Short), w.withLastWords(firstLines(err)))
	case errors.As(err, &exit):
		return failf(ErrTrap, w.phase, "%s", w.withLastWords(fmt.Sprintf("it called proc_exit(%d)", exit.ExitCode())))
	}
	return failf(ErrTrap, w.phase, "%s", w.withLastWords(firstLines(err)))
}

// withLastWords adds what the module itself said of its end.
func (w *worker) withLastWords(message string) string {
	if said := lastWords(w.log.text()); said != "" {
		return fmt.Sprintf("it wrote %q, then ended: %s", said, message)
	}
	return message
}
