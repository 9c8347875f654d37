package api

import (
	"context"
	"io"
	"math"
	"strings"
	"testing"

	"triality/experiments"
)

func TestNullFiguresOfAnABResultAreNotZero(t *testing.T) {
	ab, groups, err := decodeAB([]byte(`{"rows":1,"samples":[{"label":"ALLOW","prediction_a":"ALLOW","prediction_b":"ALLOW","language":"ja"}],"differences":[{"metric":"x","a":0,"b":1,"delta":null,"low":2,"high":null}],
		"mcnemar":{"statistic":null,"p_value":0.5},"metrics":[{"name":"m","outputs":[{"name":"o","values":[null,0,2]}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 1 || groups[0].RightB != 1 || len(ab.Samples) != 0 {
		t.Errorf("rows on which the arms agree are counted and not kept: %+v, %d rows", groups, len(ab.Samples))
	}
	d, v := ab.Differences[0], ab.Metrics[0].Outputs[0].Values
	if !math.IsNaN(d.Delta) || !math.IsNaN(d.High) || d.A != 0 || d.Low != 2 || !math.IsNaN(v[0]) || v[1] != 0 || v[2] != 2 {
		t.Errorf("%+v %v", d, v)
	}
	if !math.IsNaN(ab.McNemar.Statistic) || ab.McNemar.PValue != 0.5 {
		t.Errorf("%+v", ab.McNemar)
	}
	if _, _, err := decodeAB([]byte(`{"rows":"x"}`)); err == nil {
		t.Error("no error for a wrong type")
	}
}

type capture struct{ in *experiments.ReportInput }

func (c capture) Render(_ context.Context, in experiments.ReportInput, w io.Writer) error {
	*c.in = in
	return nil
}

func TestAReportIsMadeOfWhatTheRunHas(t *testing.T) {
	var got experiments.ReportInput
	w := newWorld(t, func(o *Options) { o.Reporter = capture{&got} })
	points := make([]experiments.Point, 5000)
	if err := w.store.LogMetrics(ctx, "done", experiments.MetricBatch{"train/loss": points}); err != nil {
		t.Fatal(err)
	}
	if rec := w.do("GET", "/api/v1/runs/done/report?lang=ja", ""); rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if got.Language != "ja" || got.Experiment.Name != "e" || got.Run.ID != "done" || got.Data.Rows != 9 || got.AB.Rows != 3 || string(got.Replacement) != `{"hidden_size":64}` {
		t.Errorf("%+v", got)
	}
	if n := len(got.Series["train/loss"]); n < 2 || n > reportPoints {
		t.Errorf("%d points", n)
	}
	if rec := w.do("GET", "/api/v1/runs/live/report", ""); rec.Code != 200 || got.AB != nil || got.Data != nil || got.Replacement != nil || got.Language != "en" {
		t.Errorf("%d %+v", rec.Code, got)
	}
	if _, err := w.store.SaveArtifact(ctx, "live", artifactAB, "", strings.NewReader("{")); err != nil {
		t.Fatal(err)
	}
	w.check(t, scenario{method: "GET", path: "/api/v1/runs/live/report", status: 400, code: iv, has: []string{artifactAB}})
	w.check(t, scenario{method: "GET", path: "/api/v1/runs/live/abtest", status: 400, code: iv, has: []string{"not JSON"}})
}
