package sandbox

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"time"

	"triality/runtime/metricabi"
)

// phaseIdle is the phase of a warm worker that has not answered yet.
const phaseIdle = "idle"

// session is one worker process with one compiled module. It has a slot of
// its Host until it is released or closed.
type session struct {
	h           *Host
	hash        string // of the module
	interpreter bool
	fuel        int64         // of each call
	slots       chan struct{} // from which it holds a place
	cmd         *exec.Cmd
	in          io.WriteCloser
	out         *bufio.Reader
	stderr      *boundedLog
	log         *boundedLog // of the call under way, as far as it was heard
	phase       string
	warm        bool // it has served a call before
	ended       bool
	gone        chan struct{} // closed by end
	input       *sharedInput  // nil: tables go through stdin
	address     uint32        // where the module put the last table
	timer       *time.Timer   // ends it while it is idle
	busy        time.Duration // wall time of its calls

	compileSeconds float64
	encodeSeconds  float64 // of the last table
	place          cachePlace
	granted        granted
	notes          []string // what its start was short of
}

// open starts a worker and compiles the module in it, for calls of that much
// fuel. The caller has a place of slots, which is free again where open fails.
func (h *Host) open(ctx context.Context, m *Module, slots chan struct{}, interpreter bool, fuel int64) (*session, error) {
	s, err := h.start()
	if err != nil {
		<-slots
		return nil, &Error{Code: ErrWorker, Message: "cannot start a worker", Err: err}
	}
	s.slots = slots
	s.hash, s.interpreter, s.fuel = m.info.SHA256, interpreter, fuel
	s.usePlace()
	defer s.place.remove()
	set, err := json.Marshal(s.settings())
	if err == nil {
		err = writeFrame(s.in, frameInit, set)
	}
	if err != nil {
		// A worker that died at once says why when it is called.
		s.stderr.Write([]byte(err.Error()))
	}
	_, rep, err := s.call(ctx, h.o.CompileTimeout, frameModule, m.wasm)
	if err != nil {
		h.tell(s.notes)
		s.close()
		return nil, err
	}
	s.compileSeconds, s.granted = rep.CompileSeconds, rep.Granted
	if s.granted.CPUSeconds == 0 || s.granted.CPUSeconds > h.cpuSeconds() {
		s.granted.CPUSeconds = h.cpuSeconds()
	}
	s.keepPlace(rep.CacheFault)
	s.notes = append(s.notes, s.granted.Short...)
	h.tell(s.notes)
	return s, nil
}

// usePlace finds the compiled module in the cache, where there is one.
func (s *session) usePlace() {
	if s.h.cache == nil || s.interpreter {
		return
	}
	place, healed, err := s.h.cache.place(s.hash)
	if healed != "" {
		s.notes = append(s.notes, healed)
	}
	if err != nil {
		s.notes = append(s.notes, s.h.cache.unused(err.Error()))
	}
	s.place = place
}

// keepPlace keeps what the worker compiled; fault is what kept it from using
// the cache.
func (s *session) keepPlace(fault string) {
	if fault == "" && s.place.dir != "" {
		if err := s.place.keep(); err != nil {
			fault = err.Error()
		}
	}
	if fault != "" {
		s.notes = append(s.notes, s.h.cache.unused(fault))
	}
}

func (s *session) settings() settings {
	h := s.h
	return settings{
		Interpreter: s.interpreter, Shared: s.input != nil, CacheDir: s.place.dir, MemoryBytes: h.o.MemoryBytes,
		WorkerBytes: h.o.WorkerBytes, CPUSeconds: h.cpuSeconds(), ResultBytes: h.o.MaxResultBytes, LogBytes: h.o.MaxLogBytes,
		Fuel: s.fuel,
	}
}

// cpuSeconds is the processor time of a worker's life. The wall deadlines kill
// first; this is for a worker whose host cannot. Half of it is enough for
// compiling and as many calls as Validate makes, on the two processors a
// worker uses; what has used up the other half is not called again.
func (h *Host) cpuSeconds() uint64 {
	if h.o.CPUTime > 0 {
		return uint64(h.o.CPUTime / time.Second)
	}
	return 2 * uint64(math.Ceil(2*(h.o.CompileTimeout+4*h.o.Timeout).Seconds())+1)
}

// cpuLimit is what a worker killed at its processor limit has used at least, as
// accounted afterwards: the kernel enforces the limit on time sampled at its
// ticks, which on a busy virtual machine is more than the time measured.
func (s *session) cpuLimit() time.Duration {
	return time.Duration(s.granted.CPUSeconds) * time.Second / 2
}

// spent reports whether a worker may have used half its processor time.
func (s *session) spent() bool { return 4*s.busy.Seconds() > float64(s.granted.CPUSeconds) }

func (h *Host) start() (*session, error) {
	program, err := h.program.path()
	if err != nil {
		return nil, err
	}
	s := &session{h: h, stderr: &boundedLog{most: 16 << 10}, log: &boundedLog{most: h.o.MaxLogBytes}, phase: "start", gone: make(chan struct{}),
		granted: inherited(h.cpuSeconds())}
	s.cmd = exec.Command(program, WorkerArg)
	// Nothing of the server's environment (tokens, keys) reaches a worker.
	// Without SYSTEMROOT no program starts on Windows.
	s.cmd.Env = []string{"GOMAXPROCS=2", "GOTRACEBACK=none"}
	if root := os.Getenv("SYSTEMROOT"); root != "" {
		s.cmd.Env = append(s.cmd.Env, "SYSTEMROOT="+root)
	}
	s.cmd.Stderr = s.stderr
	s.cmd.WaitDelay = 5 * time.Second
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.in, s.out = in, bufio.NewReaderSize(out, 1<<16)
	if !h.o.PipeInput {
		s.input = newSharedInput()
	}
	s.cmd.ExtraFiles = s.input.files()
	if err := s.cmd.Start(); err != nil {
		s.input.close()
		return nil, err
	}
	return s, nil
}

// close ends a worker that has a slot, and frees the slot.
func (s *session) close() {
	if s.ended {
		return
	}
	s.end()
	<-s.slots
}

// end ends the worker and waits until it is gone. There is nothing in it worth
// a graceful end.
func (s *session) end() {
	s.ended = true
	_ = s.cmd.Process.Kill() // it fails only for a process already gone
	_ = s.in.Close()
	_ = s.cmd.Wait() // its status is "killed", or explained by died
	s.input.close()
	close(s.gone)
}

// call sends a frame and waits for its answer, at most limit long; then, or
// when ctx or the host ends, the worker is killed.
func (s *session) call(ctx context.Context, limit time.Duration, kind byte, payload []byte) ([]byte, *reply, error) {
	start := time.Now()
	defer func() { s.busy += time.Since(start) }()
	s.log = &boundedLog{most: s.h.o.MaxLogBytes}
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(s.h.life, cancel)()
	stop := context.AfterFunc(timed, func() { _ = s.cmd.Process.Kill() })
	// A worker that is dying refuses the frame; what it says of itself is
	// still to be read.
	sent := writeFrame(s.in, kind, payload)
	block, rep, err := s.answer(kind)
	if !stop() {
		s.close()
		if ctx.Err() != nil {
			return nil, nil, canceled(ctx, s.phase)
		}
		if s.h.life.Err() != nil {
			return nil, nil, &Error{Code: ErrCanceled, Phase: s.phase, Err: errClosed}
		}
		return nil, nil, s.failed(failf(ErrTimeout, s.phase, "killed after its deadline of %v", limit))
	}
	if err == nil {
		err = sent
	}
	var known *Error
	if err != nil && !errors.As(err, &known) {
		return nil, nil, s.died(err)
	}
	return block, rep, err
}

// answer reads frames until one that ends the call. Lengths are not trusted:
// a worker may have been taken over by what it runs.
func (s *session) answer(asked byte) ([]byte, *reply, error) {
	for {
		kind, n, err := readHeader(s.out)
		if err != nil {
			return nil, nil, err
		}
		most := int64(maxReply)
		if kind == frameDone {
			most += 4 + max(s.h.o.MaxResultBytes, metricabi.MaxDescriptionBytes)
		}
		b, err := readBody(s.out, n, most)
		if err != nil {
			return nil, nil, err
		}
		switch kind {
		case framePhase:
			s.phase = string(b[:min(len(b), 64)])
		case frameLog:
			_, _ = s.log.Write(b) // it never fails
		case frameFailed:
			var f failure
			if err := json.Unmarshal(b, &f); err != nil {
				return nil, nil, err
			}
			return nil, nil, &Error{Code: f.Code, Phase: f.Phase, Message: f.Message, Log: f.Log, fuel: f.Fuel}
		case frameDone:
			return splitReply(b)
		default:
			return nil, nil, fmt.Errorf("frame %q in answer to %q", kind, asked)
		}
	}
}

func splitReply(b []byte) ([]byte, *reply, error) {
	if len(b) < 4 || int64(binary.LittleEndian.Uint32(b)) > int64(len(b)-4) {
		return nil, nil, errors.New("reply cut short")
	}
	n := int(binary.LittleEndian.Uint32(b))
	var r reply
	if err := json.Unmarshal(b[4:4+n], &r); err != nil {
		return nil, nil, err
	}
	return b[4+n:], &r, nil
}

// died explains a worker that ended or talked nonsense instead of answering.
func (s *session) died(cause error) error {
	// Give a crashing process the time to finish its last words; one that is
	// still running then has broken the protocol and is killed.
	timer := time.AfterFunc(time.Second, func() { _ = s.cmd.Process.Kill() })
	_ = s.in.Close()
	_, _ = io.Copy(io.Discard, s.out)
	_ = s.cmd.Wait() // its status is read below
	timer.Stop()
	s.input.close()
	s.ended = true
	<-s.slots

	return s.failed(explainEnd(s, cause))
}

// failed adds what was heard of the module's log.
func (s *session) failed(e *Error) *Error {
	e.Log = s.log.text()
	return e
}

// evaluate hands the table over, in shared memory where there is such, and
// returns what call does; the block is valid until the next call.
func (s *session) evaluate(ctx context.Context, t metricabi.Table, size int64) ([]byte, *reply, error) {
	start := time.Now()
	// The worker maps instead of copying where a table lies in its page as in
	// the module's memory; modules mostly allocate alike each time.
	off := int64(s.address) % int64(os.Getpagesize())
	var room []byte
	if s.input != nil {
		room = s.input.room(off, size)
	}
	if room == nil {
		table := metricabi.EncodeTo(make([]byte, 0, size), t)
		s.encodeSeconds = time.Since(start).Seconds()
		return s.call(ctx, s.h.o.Timeout, frameEval, table)
	}
	n := len(metricabi.EncodeTo(room, t))
	s.encodeSeconds = time.Since(start).Seconds()
	results := (off + size + 1<<12 - 1) &^ (1<<12 - 1)
	var where []byte
	for _, v := range []int64{off, int64(n), results} {
		where = binary.LittleEndian.AppendUint64(where, uint64(v))
	}
	block, rep, err := s.call(ctx, s.h.o.Timeout, frameShared, where)
	if err != nil {
		return nil, nil, err
	}
	s.address = rep.Address
	if rep.SharedBytes == 0 {
		return block, rep, nil
	}
	if rep.SharedBytes < 0 || rep.SharedBytes > s.h.o.MaxResultBytes {
		return nil, nil, failf(ErrWorker, s.phase, "it announced %d bytes of results", rep.SharedBytes)
	}
	if block = s.input.room(results, rep.SharedBytes); block == nil {
		return nil, nil, failf(ErrWorker, s.phase, "its results cannot be mapped")
	}
	return block, rep, nil
}

func (s *session) describe(ctx context.Context) (*metricabi.Description, error) {
	block, rep, err := s.call(ctx, s.h.o.Timeout, frameDescribe, nil)
	if err != nil {
		return nil, err
	}
	d, err := metricabi.ParseDescription(block)
	if err != nil {
		return nil, &Error{Code: ErrInvalidResult, Phase: metricabi.ExportDescribe, Log: rep.Log, Err: err}
	}
	return d, nil
}

func canceled(ctx context.Context, phase string) error {
	return &Error{Code: ErrCanceled, Phase: phase, Err: ctx.Err()}
}
