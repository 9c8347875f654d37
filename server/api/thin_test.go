package api

import (
	"fmt"
	"math"
	"testing"

	"triality/experiments"
)

func TestThinningKeepsEndsExtremesAndNaN(t *testing.T) {
	for _, n := range []int{1, 8, 9, 100, 1001, 50_000} {
		for _, most := range []int{8, 9, 100, 2000} {
			t.Run(fmt.Sprint(n, " points to ", most), func(t *testing.T) {
				th := newThinner(int64(n), most)
				low, high, odd := n/3, n/2, 2*n/3
				for i := range n {
					v := math.Sin(float64(i))
					switch i {
					case low:
						v = -50
					case high:
						v = 50
					case odd:
						v = math.NaN()
					}
					th.add(experiments.Point{Step: int64(i), Value: v})
				}
				got := map[int64]bool{}
				last := int64(-1)
				for _, p := range th.out {
					if p.Step <= last {
						t.Fatalf("step %d after %d", p.Step, last)
					}
					last = p.Step
					got[p.Step] = true
				}
				if len(th.out) > max(most, 0) || n <= most && len(th.out) != n {
					t.Errorf("%d points", len(th.out))
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

func TestASeriesIsThinnedOverHTTP(t *testing.T) {
	w := newWorld(t, nil)
	points := make([]experiments.Point, 30_000)
	for i := range points {
		points[i] = experiments.Point{Step: int64(i), Value: float64(i % 7)}
	}
	points[12_345].Value = 1e9
	if err := w.store.LogMetrics(ctx, "live", experiments.MetricBatch{"train/loss": points}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Points [][3]float64
		Total  int
	}
	decode(t, w.do("GET", "/api/v1/runs/live/metrics/series?name=train/loss&max_points=500", ""), &got)
	spike := false
	for _, p := range got.Points {
		spike = spike || p[0] == 12_345 && p[2] == 1e9
	}
	if got.Total != 30_000 || len(got.Points) > 500 || len(got.Points) < 300 || !spike {
		t.Errorf("%d of %d points, the spike kept: %v", len(got.Points), got.Total, spike)
	}
}
