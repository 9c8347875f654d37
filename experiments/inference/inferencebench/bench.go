// Package inferencebench measures package inference by simulation: how often intervals hold, how often tests win by
// chance, whether the power is what the calculator says, and what stopping early saves.
package inferencebench

import (
	"context"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
)

// Options of a measurement. The figures depend on Simulations and Seed alone.
type Options struct {
	Simulations int // of each row; what costs more is done less often
	Seed        uint64
	Threads     int    // 0: all cores
	Only        string // empty: everything; or PartSeeds alone
	Progress    func(begins string)
}

// PartSeeds is the part with arms that were trained several times.
const PartSeeds = "seeds"

// Report is what Run measured.
type Report struct {
	Simulations int            `json:"simulations"`
	Seed        uint64         `json:"seed"`
	Coverage    []Coverage     `json:"coverage"`
	Seeds       []SeedCoverage `json:"seeds"`
	FalseWins   []FalseWin     `json:"false_wins"`
	Power       []Power        `json:"power"`
	Sequential  []Stopping     `json:"sequential"`
}

// Share is how many of the simulations something was so in, with the standard error of that share.
type Share struct {
	Share       float64 `json:"share"`
	Error       float64 `json:"standard_error"`
	Simulations int     `json:"simulations"`
}

func shareOf(hits int64, n int) Share {
	p := float64(hits) / float64(n)
	return Share{p, math.Sqrt(p * (1 - p) / float64(n)), n}
}

// Run measures everything.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Threads < 1 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	s := &simulator{Options: o}
	r := &Report{Simulations: o.Simulations, Seed: o.Seed}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"coverage of intervals", func(ctx context.Context) (err error) { r.Coverage, err = s.coverage(ctx); return err }},
		{"false wins", func(ctx context.Context) (err error) { r.FalseWins, err = s.falseWins(ctx); return err }},
		{"power", func(ctx context.Context) (err error) { r.Power, err = s.power(ctx); return err }},
		{"stopping early", func(ctx context.Context) (err error) { r.Sequential, err = s.stopping(ctx); return err }},
		{PartSeeds, func(ctx context.Context) (err error) {
			s.rows = 1 << 20 // its figures are the same alone
			r.Seeds, err = s.seeds(ctx)
			return err
		}},
	} {
		if o.Only != "" && o.Only != part.name {
			continue
		}
		if o.Progress != nil {
			o.Progress(part.name)
		}
		if err := part.do(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

type simulator struct {
	Options
	rows uint64 // rows of the report so far: each has a stream of random numbers of its own
}

// each runs a simulation n times on all threads. counts are what it counted, summed.
func (s *simulator) each(ctx context.Context, n, counts int, simulate func(rng *rand.Rand, counts []float64)) ([]float64, error) {
	s.rows++
	const batch = 16
	var next atomic.Int64
	var mu sync.Mutex
	total := make([][]float64, (n+batch-1)/batch)
	var wg sync.WaitGroup
	for range s.Threads {
		wg.Go(func() {
			for ctx.Err() == nil {
				k := int(next.Add(1)) - 1
				if k >= len(total) {
					return
				}
				own := make([]float64, counts)
				for i := k * batch; i < min(n, (k+1)*batch); i++ {
					simulate(rand.New(rand.NewPCG(s.Seed, s.rows<<32+uint64(i))), own)
				}
				mu.Lock()
				total[k] = own
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	sum := make([]float64, counts)
	for _, own := range total { // in order, so that the sums do not depend on the threads
		for i, v := range own {
			sum[i] += v
		}
	}
	return sum, nil
}
