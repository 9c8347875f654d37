package sandbox

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// WorkerArg is the first argument with which a Host starts this binary again.
// A program that uses a Host calls WorkerMain, and nothing else, when it finds
// it in os.Args[1].
const WorkerArg = "triality-metric-worker"

// WorkerMain serves one host over stdin and stdout until stdin ends, and
// returns the process's exit status. It limits its own memory and processor
// time before it looks at a module.
func WorkerMain(stdin io.Reader, stdout io.Writer) int {
	exitWithHost(stdin)
	w := &worker{in: bufio.NewReaderSize(stdin, 1<<16), out: stdout}
	if err := w.serve(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, ownWords+err.Error())
		return 1
	}
	return 0
}

type worker struct {
	in  *bufio.Reader
	out io.Writer

	set      settings
	engine   wazero.Runtime
	compiled wazero.CompiledModule
	code     *metered
	memory   *allocator
	last     *instance // of the call being answered
	shared   *os.File  // where the host puts tables; nil: in frames
	gauge    gauge
	compile  time.Duration
	// cacheFault is why the compilation cache was not used.
	cacheFault string
	phase      string
	granted    granted
	log        *boundedLog
}

func (w *worker) serve(ctx context.Context) error {
	for {
		kind, n, err := readHeader(w.in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		body := &io.LimitedReader{R: w.in, N: n}
		block, rep, err := w.handle(ctx, kind, body)
		// The host writes a frame in one go; what was not needed is read
		// anyway, or both sides would wait for the other.
		if _, drain := io.Copy(io.Discard, body); drain != nil {
			return drain
		}
		if err != nil {
			var f *Error
			if !errors.As(err, &f) {
				return err
			}
			if err := writeJSON(w.out, frameFailed, failure{f.Code, f.Phase, f.Message, w.log.text(), w.gauge.used()}); err != nil {
				return err
			}
			continue
		}
		if rep == nil {
			continue
		}
		if err := w.done(rep, block); err != nil {
			return err
		}
		if w.last != nil {
			w.last.close(ctx) // the host need not wait for it
		}
	}
}

func (w *worker) done(rep *reply, block []byte) error {
	b, err := json.Marshal(rep)
	if err != nil {
		return err
	}
	return writeFrame(w.out, frameDone, binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b, block)
}

// handle answers one frame. An *Error goes to the host; any other ends the
// worker.
func (w *worker) handle(ctx context.Context, kind byte, body *io.LimitedReader) ([]byte, *reply, error) {
	w.log = &boundedLog{most: w.set.LogBytes, first: w.heard}
	switch kind {
	case frameInit:
		if err := json.NewDecoder(body).Decode(&w.set); err != nil {
			return nil, nil, err
		}
		if w.set.Shared {
			w.shared = inheritedInput()
		}
		return nil, nil, w.limit()
	case frameModule:
		wasm, err := io.ReadAll(body)
		if err != nil {
			return nil, nil, err
		}
		if err := w.load(ctx, wasm); err != nil {
			return nil, nil, err
		}
		return nil, &reply{CompileSeconds: w.compile.Seconds(), CacheFault: w.cacheFault, Granted: w.granted}, nil
	case frameDescribe, frameEval, frameShared, frameEvalWarm:
		if w.compiled == nil {
			return nil, nil, errors.New("called before a module was compiled")
		}
		return w.call(ctx, kind, body)
	}
	return nil, nil, fmt.Errorf("unknown frame %q", kind)
}

// limit narrows the process before anything untrusted is decoded.
func (w *worker) limit() error {
	debug.SetMemoryLimit(w.set.WorkerBytes / 2)
	debug.SetTraceback("none")
	var err error
	if w.granted, err = limitProcess(w.set.MemoryBytes, w.set.WorkerBytes, w.set.CPUSeconds); err != nil {
		return fmt.Errorf("cannot limit this process: %w", err)
	}
	if len(w.granted.Short) > 0 {
		share := float64(w.granted.MemoryBytes) / float64(w.set.MemoryBytes)
		debug.SetMemoryLimit(int64(share * float64(w.set.WorkerBytes) / 2))
	}
	return nil
}

// heard passes on what the module wrote, so that it is not lost with a worker
// that is killed.
func (w *worker) heard(p []byte) {
	// Where the host is gone, so is this process in a moment.
	_ = writeFrame(w.out, frameLog, p)
}

// enter tells the host what comes next, so that it can name what it killed.
func (w *worker) enter(phase string) error {
	w.phase = phase
	return writeFrame(w.out, framePhase, []byte(phase))
}

func (w *worker) load(ctx context.Context, wasm []byte) (err error) {
	if err := w.enter("compile"); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = failf(ErrRejected, w.phase, "the compiler failed: %v", p)
		}
	}()
	start := time.Now()
	code, err := meter(wasm, w.granted.MemoryBytes)
	if err != nil {
		return failf(ErrRejected, w.phase, "%v", err)
	}
	err = w.compileIn(ctx, code.wasm, w.set.CacheDir)
	if fault := (*cacheError)(nil); errors.As(err, &fault) {
		// What is wrong with the cache is no fault of the module's.
		w.cacheFault = fault.Error()
		err = w.compileIn(ctx, code.wasm, "")
	}
	if err != nil {
		return failf(ErrRejected, w.phase, "%s", firstLines(err))
	}
	w.compile = time.Since(start)
	if len(w.compiled.ImportedFunctions()) > 0 {
		if err := instantiateWASI(experimental.WithFunctionListenerFactory(ctx, &w.gauge), w.engine); err != nil {
			return failf(ErrWorker, w.phase, "%s", firstLines(err))
		}
	}
	code.wasm = nil // compiled, and not needed again
	w.code = code
	w.memory = &allocator{most: uint64(w.granted.MemoryBytes - code.tableBytes)}
	return nil
}

// compileIn compiles with a cache in a folder, or, where that is empty, without.
func (w *worker) compileIn(ctx context.Context, wasm []byte, cacheDir string) (err error) {
	config := wazero.NewRuntimeConfig()
	if w.set.Interpreter {
		config = wazero.NewRuntimeConfigInterpreter()
	}
	config = config.WithDebugInfoEnabled(false).WithCoreFeatures(api.CoreFeaturesV2)
	if cacheDir != "" && !w.set.Interpreter {
		cache, err := wazero.NewCompilationCacheWithDir(cacheDir)
		if err != nil {
			return &cacheError{err}
		}
		config = config.WithCompilationCache(cache)
	}
	w.engine = wazero.NewRuntimeWithConfig(ctx, config)
	w.compiled, err = w.engine.CompileModule(experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0)), wasm)
	if err != nil && cacheDir != "" && isCacheFault(err) {
		return &cacheError{err}
	}
	return err
}

// firstLines keeps wazero's message and the top of its stack trace.
func firstLines(err error) string {
	lines := strings.Split(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\n")
	s := strings.Join(lines[:min(len(lines), 6)], "; ")
	if len(s) > 600 {
		s = strings.ToValidUTF8(s[:600], "") + "…"
	}
	return s
}
