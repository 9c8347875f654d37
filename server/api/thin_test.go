package api

import (
	"testing"

	"triality/experiments"
)

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
