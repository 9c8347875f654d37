package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"triality/runtime/metricabi"
)

// Options configure a Host. Zero fields take the defaults named.
type Options struct {
	Timeout        time.Duration // wall time of one call of the module; 30 s
	CompileTimeout time.Duration // wall time from starting a worker to a compiled module; 60 s
	Fuel           int64         // instructions one call may run, priced as in meter.go; 20e9, which takes a processor 5 to 20 s
	MemoryBytes    int64         // largest linear memory of a module; 512 MiB
	WorkerBytes    int64         // address space for compiling and running beside it; 1 GiB
	MaxInputBytes  int64         // largest encoded table; 256 MiB
	MaxResultBytes int64         // largest block of results; 64 MiB
	MaxLogBytes    int           // kept of what a module writes; 64 KiB
	MaxWorkers     int           // worker processes at once; the number of processors

	// Executable is the program started as the worker, which calls WorkerMain
	// on WorkerArg; this program where empty.
	Executable string
	// CacheDir keeps compiled modules between workers. The files are machine
	// code, so the folder must be writable by this user only. Empty: none.
	CacheDir string
}

// Host runs metric modules, each call in a worker process of its own. It is
// safe for use by several goroutines and needs no closing: no process outlives
// the call that started it.
type Host struct {
	o     Options
	slots chan struct{}
}

// NewHost checks the options and, where a cache is asked for, makes its
// folder.
func NewHost(o Options) (*Host, error) {
	setDefault(&o.Timeout, 30*time.Second)
	setDefault(&o.CompileTimeout, time.Minute)
	setDefault(&o.Fuel, 20_000_000_000)
	setDefault(&o.MemoryBytes, 512<<20)
	setDefault(&o.WorkerBytes, 1<<30)
	setDefault(&o.MaxInputBytes, 256<<20)
	setDefault(&o.MaxResultBytes, 64<<20)
	setDefault(&o.MaxLogBytes, 64<<10)
	setDefault(&o.MaxWorkers, runtime.NumCPU())
	switch {
	case o.Timeout < 0 || o.CompileTimeout < 0:
		return nil, fmt.Errorf("metric sandbox: timeouts %v and %v, want above 0", o.Timeout, o.CompileTimeout)
	case o.Fuel < 0:
		return nil, fmt.Errorf("metric sandbox: fuel of %d, want above 0", o.Fuel)
	case o.MemoryBytes < pageBytes || o.MemoryBytes > maxPages*pageBytes:
		return nil, fmt.Errorf("metric sandbox: memory limit of %d bytes, want %d to %d", o.MemoryBytes, pageBytes, int64(maxPages)*pageBytes)
	case o.WorkerBytes < 64<<20:
		return nil, fmt.Errorf("metric sandbox: %d bytes for a worker, want %d at least", o.WorkerBytes, 64<<20)
	case o.MaxInputBytes < 0 || o.MaxResultBytes < 0 || o.MaxResultBytes > 1<<31 || o.MaxLogBytes < 0 || o.MaxLogBytes > maxReply/8 || o.MaxWorkers < 0:
		return nil, fmt.Errorf("metric sandbox: input, result, log or worker bounds out of range (log at most %d bytes)", maxReply/8)
	}
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("metric sandbox: cannot find this program to start it as a worker: %w", err)
		}
		o.Executable = exe
	}
	if o.CacheDir != "" {
		if err := os.MkdirAll(o.CacheDir, 0o700); err != nil {
			return nil, fmt.Errorf("metric sandbox: compilation cache: %w", err)
		}
		if err := checkPrivate(o.CacheDir); err != nil {
			return nil, fmt.Errorf("metric sandbox: compilation cache: %w", err)
		}
	}
	return &Host{o: o, slots: make(chan struct{}, o.MaxWorkers)}, nil
}

// setDefault replaces a zero value.
func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// checkPrivate refuses a folder in which others could leave machine code.
func checkPrivate(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s is writable by others (%v); run chmod go-w on it", dir, st.Mode().Perm())
	}
	return nil
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
	Log            string  `json:"log,omitempty"`   // what metric_eval wrote to stdout and stderr
}

// Describe runs preflight and metric_describe and returns the checked
// description. Errors are *Error, except that a context's own error is in the
// chain where it ended the call.
func (h *Host) Describe(ctx context.Context, wasm []byte) (*metricabi.Description, error) {
	s, err := h.open(ctx, wasm, false)
	if err != nil {
		return nil, err
	}
	defer s.close()
	return s.describe(ctx)
}

// Evaluate runs the metric over the table. Of t it hands over the columns the
// description names, the classes, and one constant column a parameter, whose
// values come from params or the defaults. The results are checked against the
// interface and the description. Errors are as for Describe; usage is filled
// as far as the call came.
func (h *Host) Evaluate(ctx context.Context, wasm []byte, t metricabi.Table, params map[string]any) ([]metricabi.Result, Usage, error) {
	start := time.Now()
	var u Usage
	results, err := h.evaluate(ctx, wasm, t, params, &u)
	if e := (*Error)(nil); errors.As(err, &e) && u.Fuel == 0 {
		u.Fuel = e.fuel
	}
	u.WallSeconds = time.Since(start).Seconds()
	return results, u, err
}

func (h *Host) evaluate(ctx context.Context, wasm []byte, t metricabi.Table, params map[string]any, u *Usage) ([]metricabi.Result, error) {
	s, err := h.open(ctx, wasm, false)
	if err != nil {
		return nil, err
	}
	defer s.close()
	u.CompileSeconds = s.compileSeconds
	d, err := s.describe(ctx)
	if err != nil {
		return nil, err
	}
	table, err := h.input(d, t, params)
	if err != nil {
		return nil, err
	}
	u.InputBytes = int64(len(table))
	block, rep, err := s.call(ctx, h.o.Timeout, frameEval, table)
	if err != nil {
		return nil, err
	}
	u.EvalSeconds, u.MemoryBytes, u.OutputBytes, u.Log, u.Fuel = rep.EvalSeconds, rep.MemoryBytes, int64(len(block)), rep.Log, rep.Fuel
	return decode(d, block, t.Rows, rep.Log)
}

// input encodes what the metric is to see.
func (h *Host) input(d *metricabi.Description, t metricabi.Table, params map[string]any) ([]byte, error) {
	sel, err := d.Select(t)
	if err != nil {
		return nil, &Error{Code: ErrInput, Err: err}
	}
	columns, err := d.ParameterColumns(params)
	if err != nil {
		return nil, &Error{Code: ErrInput, Err: err}
	}
	sel.Columns = append(sel.Columns, columns...)
	table, err := metricabi.Encode(sel)
	if err != nil {
		return nil, &Error{Code: ErrInput, Err: err}
	}
	if int64(len(table)) > h.o.MaxInputBytes {
		return nil, failf(ErrInput, "", "the table has %d bytes, at most %d", len(table), h.o.MaxInputBytes)
	}
	return table, nil
}

// decode checks a block of results.
func decode(d *metricabi.Description, block []byte, rows int, log string) ([]metricabi.Result, error) {
	results, err := metricabi.DecodeResults(block, metricabi.DefaultLimits(rows))
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
