package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"triality/runtime/metricabi"
)

// Options configure a Host. Zero fields take the defaults named.
type Options struct {
	Timeout        time.Duration // wall time of one call of the module; 30 s
	CompileTimeout time.Duration // wall time from starting a worker to a compiled module; 60 s
	Fuel           int64         // instructions one call may run, priced as in meter.go; 20e9, which takes a processor 3 to 20 s
	TrialFuel      int64         // the same for a call of Validate, on its small table; 2e9, at most Fuel
	MemoryBytes    int64         // largest linear memory of a module; 512 MiB
	WorkerBytes    int64         // address space for compiling and running beside it; 1 GiB
	MaxInputBytes  int64         // largest encoded table; 256 MiB
	MaxResultBytes int64         // largest block of results; 64 MiB
	MaxLogBytes    int           // kept of what a module writes, half of it from the end; 16 KiB
	MaxWorkers     int           // calls at once, a worker process each; the number of processors, and 2 at least
	MaxTrials      int           // validations that may wait for their first part; 64. An eighth as many wait for the second, which few need
	IdleTime       time.Duration // a worker waits this long for the next call of its module; 30 s; below 0: not at all
	MaxIdle        int           // workers waiting at once; 8
	PipeInput      bool          // hand tables over through a pipe even where memory can be shared
	CPUTime        time.Duration // processor time of a worker's whole life, in full seconds; enough for the timeouts

	// Executable is the program started as the worker, which calls WorkerMain
	// on WorkerArg; this program where empty.
	Executable string
	// CacheDir keeps compiled modules between workers, by hash and version of
	// the compiler. The files are machine code, so the folder must be this
	// user's and closed to all others (mode 0700); where it is not, cannot be
	// written, or is full, modules are compiled without it, and Notes and the
	// logger say so. Empty: none.
	CacheDir string
	// CacheBytes bounds the files there; those used longest ago go. 512 MiB.
	CacheBytes int64
	// Logger hears, once each, of what is short or damaged; nil: nobody.
	Logger *slog.Logger
}

// Host runs metric modules, each call in a fresh instance in a worker process.
// A worker whose call worked waits a while for the next call of the same
// module; one in which anything failed is ended. Host is safe for use by
// several goroutines. Close it: until then, idle workers stay for IdleTime.
type Host struct {
	o       Options
	slots   chan struct{}
	scans   chan struct{} // a place a preflight under way
	trials  trials        // places of validations
	program program
	cache   *cache          // nil: none
	life    context.Context // ends with Close
	endLife context.CancelFunc
	closing sync.Once

	mu    sync.Mutex
	idle  []*session
	known map[string]known
	told  map[string]bool // notes the logger has heard
}

// NewHost checks the options. What a system may lack for running modules shows
// when one is run.
func NewHost(o Options) (*Host, error) {
	setDefault(&o.Timeout, 30*time.Second)
	setDefault(&o.CompileTimeout, time.Minute)
	setDefault(&o.Fuel, 20_000_000_000)
	setDefault(&o.MemoryBytes, 512<<20)
	setDefault(&o.WorkerBytes, 1<<30)
	setDefault(&o.MaxInputBytes, 256<<20)
	setDefault(&o.MaxResultBytes, 64<<20)
	setDefault(&o.MaxLogBytes, 16<<10)
	setDefault(&o.MaxWorkers, max(2, runtime.NumCPU()))
	setDefault(&o.TrialFuel, min(2_000_000_000, o.Fuel))
	setDefault(&o.MaxTrials, 64)
	setDefault(&o.CacheBytes, 512<<20)
	setDefault(&o.IdleTime, 30*time.Second)
	setDefault(&o.MaxIdle, 8)
	switch {
	case o.Timeout < 0 || o.CompileTimeout < 0:
		return nil, fmt.Errorf("metric sandbox: timeouts %v and %v, want above 0", o.Timeout, o.CompileTimeout)
	case o.MaxIdle < 0 || o.CPUTime < 0 || o.CPUTime%time.Second != 0:
		return nil, fmt.Errorf("metric sandbox: %d idle workers and processor time of %v, want neither below 0 and full seconds", o.MaxIdle, o.CPUTime)
	case o.Fuel < 0 || o.TrialFuel < 0 || o.TrialFuel > o.Fuel:
		return nil, fmt.Errorf("metric sandbox: fuel of %d, and %d to validate, want above 0 and the second no more", o.Fuel, o.TrialFuel)
	case o.MaxTrials < 0 || o.CacheBytes < 0:
		return nil, fmt.Errorf("metric sandbox: %d validations waiting and a cache of %d bytes, want neither below 0", o.MaxTrials, o.CacheBytes)
	case o.MemoryBytes < pageBytes || o.MemoryBytes > maxPages*pageBytes:
		return nil, fmt.Errorf("metric sandbox: memory limit of %d bytes, want %d to %d", o.MemoryBytes, pageBytes, int64(maxPages)*pageBytes)
	case o.WorkerBytes < 64<<20:
		return nil, fmt.Errorf("metric sandbox: %d bytes for a worker, want %d at least", o.WorkerBytes, 64<<20)
	case o.MaxInputBytes < 0 || o.MaxInputBytes > metricabi.MaxTableBytes || o.MaxResultBytes < 0 || o.MaxResultBytes > 1<<31 || o.MaxLogBytes < 0 || o.MaxLogBytes > maxReply/8 || o.MaxWorkers < 0:
		return nil, fmt.Errorf("metric sandbox: input, result, log or worker bounds out of range (log at most %d bytes)", maxReply/8)
	}
	h := &Host{o: o, slots: make(chan struct{}, o.MaxWorkers), known: map[string]known{}, told: map[string]bool{}, program: findProgram(o.Executable)}
	if o.CacheDir != "" {
		h.cache = &cache{dir: o.CacheDir, most: o.CacheBytes}
	}
	h.trials = newTrials(o.MaxWorkers, o.MaxTrials)
	// Preflight runs in this process, for a tenth of a second where a module is
	// large: half the processors stay free for whatever else it does.
	h.scans = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))
	h.life, h.endLife = context.WithCancel(context.Background())
	return h, nil
}

// Workers is how many calls run at once.
func (h *Host) Workers() int { return h.o.MaxWorkers }

// tell passes notes on to the logger, each once.
func (h *Host) tell(notes []string) {
	for _, n := range notes {
		h.mu.Lock()
		known := h.told[n]
		if len(h.told) < maxKnown {
			h.told[n] = true
		}
		h.mu.Unlock()
		if !known && h.o.Logger != nil {
			h.o.Logger.Warn("metric sandbox", "note", n)
		}
	}
}

// setDefault replaces a zero value.
func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// Usage is what a call took.
type Usage struct {
	WallSeconds    float64 `json:"wall_seconds"`    // the whole call, worker started to worker ended
	CompileSeconds float64 `json:"compile_seconds"` // in the worker
	EvalSeconds    float64 `json:"eval_seconds"`    // in the worker: instantiating, copying the table in, metric_eval
	InputBytes     int64   `json:"input_bytes"`     // the encoded table
	OutputBytes    int64   `json:"output_bytes"`    // the block of results
	MemoryBytes    int64   `json:"memory_bytes"`    // linear memory at the end
	Fuel           int64   `json:"fuel"`            // used, also by a call that failed; the same on every machine
	Log            string  `json:"log,omitempty"`   // what metric_eval wrote to stdout and stderr, also where it failed
	// Notes say what the call had to do without, which is no fault of the
	// module's: a cache, a part of the memory.
	Notes  []string `json:"notes,omitempty"`
	Stages Stages   `json:"-"` // where the time went
}

// Stages is where the time of a call on a warm worker went, in seconds. What
// is missing to the whole is two context switches and the pipe.
type Stages struct {
	Check       float64 // host: choosing and checking the columns
	Encode      float64 // host: laying the table out, in shared memory where there is such
	Instantiate float64 // worker: the fresh instance, its start function and _initialize
	Transfer    float64 // worker: the table into the module's memory
	Module      float64 // worker: metric_alloc and metric_eval
	Return      float64 // worker: the block out of the module's memory
	Decode      float64 // host: reading the block and holding it against the description
}

// Describe runs preflight and metric_describe and returns the checked
// description, which is the caller's. Errors are *Error, except that a
// context's own error is in the chain where it ended the call.
func (h *Host) Describe(ctx context.Context, wasm []byte) (*metricabi.Description, error) {
	m, err := h.Load(wasm)
	if err != nil {
		return nil, err
	}
	d, err := m.description(ctx)
	if err != nil {
		return nil, err
	}
	return d.Clone(), nil
}

// Evaluate runs the metric over the table. Of t it hands over the columns the
// description names, the classes, and one constant column a parameter, whose
// values come from params or the defaults. The results are checked against the
// interface and the description. Errors are as for Describe; usage is filled
// as far as the call came. Who evaluates a large module often saves hashing it
// each time with Load.
func (h *Host) Evaluate(ctx context.Context, wasm []byte, t metricabi.Table, params map[string]any) ([]metricabi.Result, Usage, error) {
	start := time.Now()
	m, err := h.Load(wasm)
	if err != nil {
		return nil, Usage{WallSeconds: time.Since(start).Seconds()}, err
	}
	results, u, err := m.Evaluate(ctx, t, params)
	u.WallSeconds = time.Since(start).Seconds()
	return results, u, err
}

// input returns what the metric is to see, checked, and the length of its
// encoding, at most a little more.
func (h *Host) input(d *metricabi.Description, t metricabi.Table, params map[string]any) (metricabi.Table, int64, error) {
	sel, err := d.Select(t)
	if err == nil {
		var columns []metricabi.Column
		columns, err = d.ParameterColumns(params)
		sel.Columns = append(sel.Columns, columns...)
	}
	if err == nil {
		err = sel.Check()
	}
	if err != nil {
		return sel, 0, &Error{Code: ErrInput, Err: err}
	}
	size := sel.EncodedSize()
	if size > h.o.MaxInputBytes {
		return sel, 0, failf(ErrInput, "", "the table has %d bytes, at most %d", size, h.o.MaxInputBytes)
	}
	return sel, size, nil
}

// decode checks a block of results.
func (h *Host) decode(d *metricabi.Description, block []byte, rows int, log string) ([]metricabi.Result, error) {
	limits := metricabi.DefaultLimits(rows)
	limits.MaxBytes = int(h.o.MaxResultBytes)
	results, err := metricabi.DecodeResults(block, limits)
	if err == nil {
		err = d.CheckResults(results)
	}
	if err == nil {
		return results, nil
	}
	code := ErrInvalidResult
	if said := (*metricabi.MetricError)(nil); errors.As(err, &said) {
		code = ErrMetric
	}
	return nil, &Error{Code: code, Phase: metricabi.ExportEval, Log: log, Err: err}
}
