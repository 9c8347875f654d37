// Package enginebench measures the engine on this machine's processor beside its peers, in one run:
// training against PyTorch, and the matrix product against OpenBLAS. A peer that is not installed is
// named, and the engine is measured alone.
//
// The engine and a peer take turns of a fraction of a second, with the same number of threads, so that
// what else the machine does meets both. The least time of each is the figure to compare where the
// machine is busy, since other programs only ever add; the median is there to judge how busy it was.
package enginebench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
)

// Options say what to measure; zero fields take the defaults named.
type Options struct {
	Threads int // of both sides; all cores

	Shape     Shape         // TenMillion
	Batch     int           // sequences a step; 8
	Sequence  int           // tokens a sequence; 256
	Rounds    int           // turns of each side; 8
	TurnSteps int           // steps a turn; 2
	Sizes     []int         // of the square products; 256, 512, 1024, 2048, 4096. Not nil and empty: none
	Repeat    int           // turns of each side a size; 6
	Turn      time.Duration // least length of a turn of products; 200 ms
	Pause     time.Duration // before each turn, in which the other side's threads fall asleep; 100 ms
	Python    []string      // interpreters to look for PyTorch in; /usr/bin/python3, then python3 of PATH
	OpenBLAS  []string      // names of the library; libopenblas.so.0, libopenblas.so

	// Progress is told what begins; it may be nil.
	Progress func(string)
}

// Report is what Run measured.
type Report struct {
	Machine  Machine    `json:"machine"`
	Threads  int        `json:"threads"`
	Training *Training  `json:"training,omitempty"`
	Products []Product  `json:"matrix_products,omitempty"`
	BLAS     string     `json:"openblas,omitempty"` // its description of itself
	Missing  []string   `json:"missing"`            // peers that are not installed, and why
	Load     [2]float64 `json:"load_average"`       // of the last minute, before and after; 0 where the system does not say
}

// Machine describes what was measured on.
type Machine struct {
	System    string `json:"system"`
	Processor string `json:"processor"`
	Cores     int    `json:"cores"`
	SIMD      string `json:"simd"` // of the engine
	Memory    int64  `json:"memory_bytes"`
	Go        string `json:"go"`
}

// Times summarises the seconds of one side.
type Times struct {
	Least  float64 `json:"least"`
	Median float64 `json:"median"`
	Count  int     `json:"count"`
}

func summarise(seconds []float64) Times {
	s := slices.Sorted(slices.Values(seconds))
	if len(s) == 0 {
		return Times{}
	}
	return Times{Least: s[0], Median: (s[(len(s)-1)/2] + s[len(s)/2]) / 2, Count: len(s)}
}

// Ratio is how many times as fast as the peer the engine is: over 1 the engine is faster.
type Ratio struct {
	Least  float64 `json:"least"`
	Median float64 `json:"median"`
}

func ratio(ours, peer Times) *Ratio {
	return &Ratio{Least: peer.Least / ours.Least, Median: peer.Median / ours.Median}
}

// Rate is work a second.
type Rate struct {
	Best   float64 `json:"best"`
	Median float64 `json:"median"`
}

func rate(work float64, t Times) Rate { return Rate{work / t.Least, work / t.Median} }

// Run measures training and products.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.fill()
	dev := cpu.New(cpu.Options{Threads: o.Threads})
	rep := &Report{Machine: describe(dev.Info()), Threads: dev.Info().Threads, Missing: []string{}}
	rep.Load[0] = loadAverage()
	err := o.training(ctx, dev, rep)
	if err == nil && len(o.Sizes) > 0 {
		err = o.products(ctx, dev, rep)
	}
	rep.Load[1] = loadAverage()
	if err = errors.Join(err, dev.Close()); err != nil {
		return nil, fmt.Errorf("engine benchmark: %w", err)
	}
	return rep, nil
}

func (o *Options) fill() {
	set(&o.Threads, runtime.GOMAXPROCS(0))
	set(&o.Shape, TenMillion)
	set(&o.Batch, 8)
	set(&o.Sequence, 256)
	set(&o.Rounds, 8)
	set(&o.TurnSteps, 2)
	set(&o.Repeat, 6)
	set(&o.Turn, 200*time.Millisecond)
	set(&o.Pause, 100*time.Millisecond)
	if o.Sizes == nil {
		o.Sizes = []int{256, 512, 1024, 2048, 4096}
	}
	if o.Python == nil {
		o.Python = []string{"/usr/bin/python3", "python3"}
	}
	if o.OpenBLAS == nil {
		o.OpenBLAS = []string{"libopenblas.so.0", "libopenblas.so"}
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
}

func set[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

func describe(info device.Info) Machine {
	return Machine{
		System: runtime.GOOS + "/" + runtime.GOARCH, Processor: info.Model, Cores: runtime.NumCPU(),
		SIMD: info.SIMD, Memory: info.Memory, Go: runtime.Version(),
	}
}

// rest waits between turns.
func (o *Options) rest(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(o.Pause):
		return nil
	}
}
