package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/abtest"
)

// judgedRun stores a run whose A/B test has rows; answers gives B's answer to each, A always says ALLOW.
func (w *world) judgedRun(id string, rows int, answer func(i int) string) {
	w.t.Helper()
	w.save(experiments.Run{ID: id, Name: "run " + id, Status: experiments.Finished})
	ab := experiments.ABResult{Rows: rows, Arms: [2]experiments.ArmResult{{Name: "A", Model: "base"}, {Name: "B", Model: "tuned-" + id}}}
	for i := range rows {
		ab.Samples = append(ab.Samples, experiments.Sample{Index: i, Group: fmt.Sprint("g", i/2), Text: fmt.Sprint("text ", i), Language: []string{"en", "ja"}[i%2],
			Label: experiments.Labels[i%4], PredictionA: "ALLOW", PredictionB: answer(i), ProbabilityA: []float64{1, 0, 0, 0}, ProbabilityB: []float64{0.4, 0.2, 0.2, 0.2}})
	}
	text, err := json.Marshal(ab)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.store.SaveArtifact(ctx, id, artifactAB, "", strings.NewReader(string(text))); err != nil {
		w.t.Fatal(err)
	}
}

func TestAnyTwoRunsAreComparedOnTheRowsThatBothJudged(t *testing.T) {
	w := newWorld(t, nil)
	right := func(i int) string { return experiments.Labels[i%4] }
	w.judgedRun("x", 40, func(i int) string {
		if i%5 == 0 {
			return "REFUSE"
		}
		return right(i)
	})
	w.judgedRun("y", 60, right)
	var got comparedSamples
	decode(t, w.do("GET", "/api/v1/compare/samples?a=x&b=y&limit=3&offset=2", ""), &got)
	wrong := 0
	for i := 0; i < 40; i += 5 {
		if right(i) != "REFUSE" {
			wrong++
		}
	}
	if got.Rows != 40 || got.OnlyA != 0 || got.OnlyB != 20 || got.Counts.Fixed != wrong || got.Counts.BothRight != 40-wrong || got.Total != wrong || len(got.Items) != 3 || got.A.Model != "tuned-x" {
		t.Errorf("%+v", got)
	}
	if first := got.Items[0]; first.B.Prediction != first.Label || first.A.Prediction != "REFUSE" || first.A.Correct || !first.B.Correct || first.Text == "" {
		t.Errorf("%+v", first)
	}
	c := got.Inference.Of("accuracy")
	if c == nil || float64(c.Delta.Value) < float64(wrong)/40-1e-9 || float64(c.Delta.Value) > float64(wrong)/40+1e-9 || c.P <= 0 || c.P >= 1 || got.Inference.Clusters != 20 || got.McNemar.OnlyB != wrong {
		t.Errorf("%+v, McNemar %+v", got.Inference, got.McNemar)
	}
	// The same rows through the engine's own inference.
	var x, y experiments.ABResult
	decode(t, w.do("GET", "/api/v1/runs/x/abtest", ""), &x)
	decode(t, w.do("GET", "/api/v1/runs/y/abtest", ""), &y)
	p := abtest.Pair(x.Samples, "B", y.Samples, "B")
	want := abtest.Infer(p.Samples, abtest.Units(p.Samples, experiments.UnitSource), experiments.DefaultDesign(), 1).Of("accuracy")
	if want.Delta != c.Delta || want.P != c.P {
		t.Errorf("%+v, want %+v", c, want)
	}
	for query, total := range map[string]int{"a=x&b=y&show=all": 40, "a=x&b=y&show=all&language=ja": 20, "a=x&b=y&show=broken": 0, "a=y&b=x&show=broken": wrong, "a=x&b=x": 0,
		"a=x&b=x&a_arm=A&show=both_wrong": 4, "a=x&b=y&show=all&q=TEXT+1": 11, "a=x&b=y&show=all&label=DENY": 10} {
		decode(t, w.do("GET", "/api/v1/compare/samples?"+query, ""), &got)
		if got.Total != total {
			t.Errorf("%s: %d rows, want %d", query, got.Total, total)
		}
	}

	var h sampleHistory
	key := p.Keys[5]
	decode(t, w.do("GET", "/api/v1/samples/history?key="+key, ""), &h)
	if len(h.Items) != 4 || h.Scanned < 2 || h.Text != "text 5" || h.Items[0].RunID != "y" || h.Items[1].Arm != "B" || !h.Items[1].Correct || h.Items[3].Correct {
		t.Errorf("%+v", h)
	}
	var same sampleHistory
	decode(t, w.do("GET", "/api/v1/samples/history?run=x&index=5", ""), &same)
	if same.Key != key || len(same.Items) != 4 {
		t.Errorf("%+v", same)
	}
	if rec := w.do("GET", "/api/v1/samples/history?run=x&index=500", ""); rec.Code != http.StatusNotFound {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}
