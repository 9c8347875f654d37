package thin

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"triality/experiments"
)

func TestThinningKeepsEndsExtremesAndNaN(t *testing.T) {
	for _, n := range []int{1, 8, 9, 100, 1001, 50_000} {
		for _, most := range []int{5, 8, 9, 100, 2000} {
			t.Run(fmt.Sprint(n, " points to ", most), func(t *testing.T) {
				low, high, odd := n/3, n/2, 2*n/3
				in := make([]experiments.Point, n)
				for i := range in {
					in[i] = experiments.Point{Step: int64(i), Value: math.Sin(float64(i))}
				}
				in[low].Value, in[high].Value, in[odd].Value = -50, 50, math.NaN()
				out := Points(in, most)
				got, last := map[int64]bool{}, int64(-1)
				for _, p := range out {
					if p.Step <= last {
						t.Fatalf("step %d after %d", p.Step, last)
					}
					last = p.Step
					got[p.Step] = true
				}
				if len(out) > most || n <= most && len(out) != n {
					t.Errorf("%d points", len(out))
				}
				for _, want := range []int{0, low, high, odd, n - 1} {
					if !got[int64(want)] {
						t.Errorf("point %d is lost", want)
					}
				}
			})
		}
	}
}

// picked says of each point what stretch it is of, by a division for each: what the thinner finds without.
func picked(in []experiments.Point, most int) []experiments.Point {
	n, stretches := len(in), max((most-2)/3, 1)
	if n <= most {
		return in
	}
	keep := map[int]bool{0: true, n - 1: true}
	type found struct{ low, high, odd int }
	all := map[int]found{}
	for i := 1; i < n-1; i++ {
		s := (i - 1) * stretches / (n - 2)
		f, ok := all[s]
		if !ok {
			f = found{-1, -1, -1}
		}
		switch v := in[i].Value; {
		case math.IsNaN(v) || math.IsInf(v, 0):
			if f.odd < 0 {
				f.odd = i
			}
		default:
			if f.low < 0 || v < in[f.low].Value {
				f.low = i
			}
			if f.high < 0 || v > in[f.high].Value {
				f.high = i
			}
		}
		all[s] = f
	}
	for _, f := range all {
		for _, i := range []int{f.low, f.high, f.odd} {
			if i >= 0 {
				keep[i] = true
			}
		}
	}
	var out []experiments.Point
	for i, p := range in {
		if keep[i] {
			out = append(out, p)
		}
	}
	return out
}

func TestASeriesInPartsIsThinnedAsOneIs(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		in := make([]experiments.Point, 1+r.IntN(1200))
		for i := range in {
			in[i] = experiments.Point{Step: int64(i), Value: float64(r.IntN(50))}
			switch r.IntN(40) {
			case 0:
				in[i].Value = math.Inf(1 - 2*r.IntN(2))
			case 1:
				in[i].Value = math.NaN()
			}
		}
		most := 5 + r.IntN(400)
		th := New(int64(len(in)), most)
		for rest := in; len(rest) > 0; {
			n := 1 + r.IntN(min(len(rest), 300))
			th.Add(rest[:n])
			rest = rest[n:]
		}
		got, want := th.Points(), picked(in, most)
		steps := func(ps []experiments.Point) (out []int64) {
			for _, p := range ps {
				out = append(out, p.Step)
			}
			return out
		}
		if !reflect.DeepEqual(steps(got), steps(want)) {
			t.Fatalf("%d points to %d: %v, want %v", len(in), most, steps(got), steps(want))
		}
	}
}
