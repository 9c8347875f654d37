package metricbench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
)

// Module is a module to measure.
type Module struct {
	Language string // as printed: "c", "go"
	Wasm     []byte
}

// Options say how to measure. Zero fields take the defaults named.
type Options struct {
	Rows      int             // of the large table; 1,000,000
	SmallRows int             // of the small one; 1,000
	Repeat    int             // rounds of each measurement, the fastest counts; 9
	Sandbox   sandbox.Options // of the hosts; the timeouts should fit the table
}

// Report is what Run measured. Times are in milliseconds, each the least of its
// rounds: what else the machine does only ever adds.
type Report struct {
	Rows      int      `json:"rows"`
	Arms      int      `json:"arms"`
	SmallRows int      `json:"small_rows"`
	Repeat    int      `json:"repeat"`
	Modules   []Figure `json:"modules"`
}

// Figure is one module's.
type Figure struct {
	Language string `json:"language"`
	Metric   string `json:"metric"`
	Bytes    int    `json:"bytes"` // of the module
	Calls    int    `json:"calls"` // for both arms: 1 where the metric takes both

	// The large table, both arms, worker warm.
	SandboxMS float64 `json:"sandbox_ms"` // choosing and checking columns, transfer, instantiating, metric_eval, checked results
	EvalMS    float64 `json:"eval_ms"`    // of that in the worker
	NativeMS  float64 `json:"native_ms"`  // the same results from Go over the same columns
	Ratio     float64 `json:"ratio"`      // sandbox over native
	Fuel      int64   `json:"fuel"`
	Stages    Stages  `json:"stages_ms"` // of the fastest round

	SmallMS     float64 `json:"small_ms"`        // one call over the small table, worker warm
	SmallStages Stages  `json:"small_stages_ms"` // of the fastest
	StartMS     float64 `json:"start_ms"`        // no worker to first result over the small table; description known
	ColdMS      float64 `json:"cold_ms"`         // the same for a Host that has not seen the module
}

// Stages is where the time went, as sandbox.Stages says, in milliseconds.
type Stages struct {
	Check       float64 `json:"check"`
	Encode      float64 `json:"encode"`
	Instantiate float64 `json:"instantiate"`
	Transfer    float64 `json:"transfer"`
	Module      float64 `json:"module"`
	Return      float64 `json:"return"`
	Decode      float64 `json:"decode"`
}

func (s *Stages) add(t sandbox.Stages) {
	s.Check += t.Check * 1e3
	s.Encode += t.Encode * 1e3
	s.Instantiate += t.Instantiate * 1e3
	s.Transfer += t.Transfer * 1e3
	s.Module += t.Module * 1e3
	s.Return += t.Return * 1e3
	s.Decode += t.Decode * 1e3
}

// Run measures each module. Every module's results are compared with the
// native ones bit by bit; it is an error where they differ, or where there is
// no native peer (see Peers).
func Run(ctx context.Context, o Options, modules ...Module) (*Report, error) {
	set(&o.Rows, 1_000_000)
	set(&o.SmallRows, 1000)
	set(&o.Repeat, 9)
	rep := &Report{Rows: o.Rows, Arms: 2, SmallRows: o.SmallRows, Repeat: o.Repeat}
	for _, m := range modules {
		f, err := o.measure(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("metric benchmark: %s: %w", m.Language, err)
		}
		rep.Modules = append(rep.Modules, f)
	}
	return rep, nil
}

func set(v *int, to int) {
	if *v == 0 {
		*v = to
	}
}

func (o Options) measure(ctx context.Context, m Module) (Figure, error) {
	f := Figure{Language: m.Language, Bytes: len(m.Wasm)}
	h, err := sandbox.NewHost(o.Sandbox)
	if err != nil {
		return f, err
	}
	defer h.Close()
	mod, err := h.Load(m.Wasm)
	if err != nil {
		return f, err
	}
	d, err := h.Describe(ctx, m.Wasm)
	if err != nil {
		return f, err
	}
	peer := peerOf(d)
	if peer == nil {
		return f, fmt.Errorf("metric %q has no native peer here", d.Name)
	}
	f.Metric = d.Name
	large, small := tablesOf(d, o.Rows), tablesOf(d, o.SmallRows)
	f.Calls = len(large)
	if err := o.large(ctx, &f, mod, peer, large); err != nil {
		return f, err
	}
	f.SmallMS = math.Inf(1)
	for range 4 * o.Repeat {
		start := time.Now()
		_, u, err := mod.Evaluate(ctx, small[0], nil)
		if err != nil {
			return f, err
		}
		if took := ms(start); took < f.SmallMS {
			f.SmallMS, f.SmallStages = took, Stages{}
			f.SmallStages.add(u.Stages)
		}
	}
	return f, o.starts(ctx, &f, m.Wasm, small[0])
}

// large measures sandbox and native in turns, so that both see the same
// machine.
func (o Options) large(ctx context.Context, f *Figure, mod *sandbox.Module, peer Peer, tables []metricabi.Table) error {
	var inside, outside, eval []float64
	for round := range o.Repeat + 1 {
		var in, out, ev float64
		var stages Stages
		f.Fuel = 0
		for _, t := range tables {
			start := time.Now()
			got, u, err := mod.Evaluate(ctx, t, nil)
			in += ms(start)
			if err != nil {
				return err
			}
			start = time.Now()
			want := peer(t)
			out += ms(start)
			if err := compare(want, got); err != nil {
				return err
			}
			ev += u.EvalSeconds * 1e3
			stages.add(u.Stages)
			f.Fuel += u.Fuel
		}
		if round > 0 { // the first warms the worker and the caches
			inside, outside, eval = append(inside, in), append(outside, out), append(eval, ev)
			if in == slices.Min(inside) {
				f.Stages = stages
			}
		}
	}
	f.SandboxMS, f.NativeMS, f.EvalMS = slices.Min(inside), slices.Min(outside), slices.Min(eval)
	f.Ratio = f.SandboxMS / f.NativeMS
	return nil
}

// starts measures calls that find no worker.
func (o Options) starts(ctx context.Context, f *Figure, wasm []byte, t metricabi.Table) error {
	cold := o.Sandbox
	cold.IdleTime = -1
	h, err := sandbox.NewHost(cold)
	if err != nil {
		return err
	}
	defer h.Close()
	if _, _, err := h.Evaluate(ctx, wasm, t, nil); err != nil {
		return err
	}
	if f.StartMS, err = fastest(o.Repeat, func() error {
		_, _, err := h.Evaluate(ctx, wasm, t, nil)
		return err
	}); err != nil {
		return err
	}
	var hosts []*sandbox.Host
	defer func() {
		for _, h := range hosts {
			h.Close()
		}
	}()
	f.ColdMS, err = fastest(o.Repeat, func() error {
		h, err := sandbox.NewHost(o.Sandbox)
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
		_, _, err = h.Evaluate(ctx, wasm, t, nil)
		return err
	})
	return err
}

func ms(since time.Time) float64 { return time.Since(since).Seconds() * 1e3 }

// fastest is the least of n times, in milliseconds.
func fastest(n int, do func() error) (float64, error) {
	var times []float64
	for range n {
		start := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		times = append(times, ms(start))
	}
	return slices.Min(times), nil
}

// compare holds a module's results against the native ones, bit by bit.
func compare(want, got []metricabi.Result) error {
	byName := map[string]*metricabi.Result{}
	for i := range got {
		byName[got[i].Name] = &got[i]
	}
	for _, w := range want {
		g := byName[w.Name]
		if g == nil || g.Kind != w.Kind || len(g.Values) != len(w.Values) {
			return fmt.Errorf("%s: the native metric has it, of %d values, the module has not", w.Name, len(w.Values))
		}
		for i := range w.Values {
			if g.Defined(i) != w.Defined(i) || math.Float64bits(g.Values[i]) != math.Float64bits(w.Values[i]) {
				return fmt.Errorf("%s, value %d: the module says %v, the native metric %v", w.Name, i, g.Values[i], w.Values[i])
			}
		}
	}
	return nil
}
