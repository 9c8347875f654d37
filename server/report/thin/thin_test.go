package thin

import (
	"fmt"
	"math"
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
