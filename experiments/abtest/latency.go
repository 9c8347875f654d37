package abtest

import (
	"math"
	"math/rand/v2"
	"slices"

	"triality/experiments"
)

// Timings are milliseconds of both arms, A[pass][row] and B[pass][row]: each pass goes over all rows in order and asks
// both arms in turn.
type Timings struct{ A, B [][]float64 }

// Differences gives B − A of the median and the 95th percentile of all timings, with intervals by a paired bootstrap that
// draws both what rows there are and what the machine did meanwhile. Rows are drawn in blocks of successive ones, since
// timings depend on what the machine did just before: blocks are of n^⅓ rows, which is the order that Hall, Horowitz & Jing
// (1995) give for such intervals, and wrap around (Politis & Romano 1992). A row counts once however often it was timed:
// every pass gets the same blocks, each as one of the passes, drawn anew, timed it (a two-stage bootstrap: Davison & Hinkley
// 1997, §3.8). Rows that were not measured in turn differ by more than that.
func (t Timings) Differences(level float64, resamples int, seed uint64) []experiments.Difference {
	if len(t.A) == 0 || len(t.A[0]) == 0 {
		return nil
	}
	passes, n := len(t.A), len(t.A[0])
	points := []struct {
		name string
		q    float64
	}{{"latency_median_ms", 0.5}, {"latency_p95_ms", 0.95}}
	deltas := make([][]float64, len(points))
	rng := rand.New(rand.NewPCG(seed, 0x7472696c)) // "tril": a stream of its own
	block := int(math.Ceil(math.Cbrt(float64(n))))
	ra, rb := make([]float64, n*passes), make([]float64, n*passes)
	for range resamples {
		for i := 0; i < n; {
			at, long := rng.IntN(n), min(block, n-i)
			for p := range passes {
				pass := 0
				if passes > 1 {
					pass = rng.IntN(passes)
				}
				for k := range long {
					ra[p*n+i+k], rb[p*n+i+k] = t.A[pass][(at+k)%n], t.B[pass][(at+k)%n]
				}
			}
			i += long
		}
		slices.Sort(ra)
		slices.Sort(rb)
		for k, p := range points {
			deltas[k] = append(deltas[k], Percentile(rb, p.q)-Percentile(ra, p.q))
		}
	}
	sa, sb := slices.Sorted(slices.Values(slices.Concat(t.A...))), slices.Sorted(slices.Values(slices.Concat(t.B...)))
	out := make([]experiments.Difference, len(points))
	for k, p := range points {
		slices.Sort(deltas[k])
		d := experiments.Difference{Metric: p.name, A: Percentile(sa, p.q), B: Percentile(sb, p.q), Better: "lower", Resamples: resamples, Reading: experiments.ReadingNoClear}
		d.Delta = d.B - d.A
		d.Low, d.High = Percentile(deltas[k], (1-level)/2), Percentile(deltas[k], (1+level)/2)
		switch {
		case n < fewTimings: // not enough to tell a percentile's spread
		case d.High < 0:
			d.Reading = experiments.ReadingBetter
		case d.Low > 0:
			d.Reading = experiments.ReadingWorse
		}
		out[k] = d
	}
	return out
}

// fewTimings is the number of rows below which a bootstrap of percentiles says nothing.
const fewTimings = 20

// Latencies summarises the milliseconds of all passes over the rows.
func Latencies(passes [][]float64) experiments.Latency {
	sorted := slices.Sorted(slices.Values(slices.Concat(passes...)))
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	return experiments.Latency{MedianMS: Percentile(sorted, 0.5), P95MS: Percentile(sorted, 0.95), MeanMS: sum / float64(len(sorted))}
}

// MedianOfRows is each row's own median over the passes.
func MedianOfRows(passes [][]float64) []float64 {
	if len(passes) == 0 {
		return nil
	}
	out, one := make([]float64, len(passes[0])), make([]float64, len(passes))
	for i := range out {
		for p := range passes {
			one[p] = passes[p][i]
		}
		slices.Sort(one)
		out[i] = Percentile(one, 0.5)
	}
	return out
}
