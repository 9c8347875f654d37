package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/dataset"
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

// ownedRun is a run whose rows have fields of their own, written texts and a metric's column.
func (w *world) ownedRun(id string, rows int) {
	w.t.Helper()
	w.judgedRun(id, rows, func(i int) string { return experiments.Labels[(i+i%3)%4] })
	var ab experiments.ABResult
	decode(w.t, w.do("GET", "/api/v1/runs/"+id+"/abtest", ""), &ab)
	values := experiments.Values{}
	for i := range ab.Samples {
		s := &ab.Samples[i]
		text := fmt.Sprint("written ", i)
		s.Instruction, s.Reference, s.Domain, s.OutputB, s.LatencyBMS = "Classify.", s.Label, []string{"it", ""}[i%2], &text, float64(i)
		s.Columns = experiments.Columns{"style": []string{"plain", "odd=1"}[i%2], "n": json.Number(fmt.Sprint(i)), "a.prediction": "own"}
		if i == 7 {
			delete(s.Columns, "style")
		}
		values = append(values, float64(i)/10)
	}
	ab.Metrics = []experiments.ModuleResult{{Key: "k", Name: "margin", Outputs: []experiments.MetricOutput{{Name: "v", Kind: "column", Values: values}}}}
	text, err := json.Marshal(ab)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.store.SaveArtifact(ctx, id, artifactAB, "", strings.NewReader(string(text))); err != nil {
		w.t.Fatal(err)
	}
}

func TestComparedRowsAreFilteredByAnyColumn(t *testing.T) {
	w := newWorld(t, nil)
	w.ownedRun("x", 40)
	w.ownedRun("y", 30)
	var got comparedSamples
	for where, total := range map[string]int{
		"row.style=plain": 15, "row.style=odd=1": 14, "row.style!=plain": 14, "row.style=": 1, "row.style~ODD": 14, "row.n<10": 10, "row.n>=29.0": 1, "row.n=7.0": 1,
		"domain=": 15, "language=ja": 15, "label=DENY": 7, "group=g3": 2, "index<=4": 5, "b.prediction=ALLOW": 8, "a.prediction=ALLOW": 8, "row.a.prediction=own": 30,
		"b.latency_ms>27": 2, "a.latency_ms>27": 2, "b.confidence<0.5": 30, "b.margin.v>2.75": 2, "a.margin.v<0.05": 1,
	} {
		decode(t, w.do("GET", "/api/v1/compare/samples?a=x&b=y&show=all&inference=0&where="+url.QueryEscape(where), ""), &got)
		if got.Total != total || got.Inference != nil || got.McNemar != nil {
			t.Errorf("%s: %d rows, want %d", where, got.Total, total)
		}
	}
	decode(t, w.do("GET", "/api/v1/compare/samples?a=x&b=y&show=all&where=row.n%3E3&where=row.style=plain&label=ALLOW&q=written+2", ""), &got)
	if got.Total != 3 || got.Items[0].Values["row.n"] != "20" || got.Items[0].Values["row.style"] != "plain" {
		t.Errorf("%+v", got.Items)
	}
	// Cells of the matrices have the rows that they count.
	for i, label := range got.Labels {
		for j, answer := range got.Labels {
			var cell comparedSamples
			decode(t, w.do("GET", "/api/v1/compare/samples?a=x&b=y&show=all&inference=0&label="+label+"&where=b.prediction="+answer, ""), &cell)
			if cell.Total != got.Confusion.B[i][j] {
				t.Errorf("%s answered as %s: %d rows, want %d", label, answer, cell.Total, got.Confusion.B[i][j])
			}
		}
	}
	about := map[string]columnAbout{}
	for _, c := range got.Columns {
		about[c.Key] = c
	}
	if c := about["row.style"]; c.Kind != "text" || c.Rows != 29 || len(c.Values) != 2 || c.Values[0] != (valueAbout{"plain", 15}) {
		t.Errorf("%+v", c)
	}
	if c := about["row.n"]; c.Kind != "number" || c.Least != 0 || c.Greatest != 29 {
		t.Errorf("%+v", c)
	}
	for _, where := range []string{"style=plain", "row.n", "row.n<many", "=", ""} {
		if rec := w.do("GET", "/api/v1/compare/samples?a=x&b=y&where="+url.QueryEscape(where), ""); rec.Code != http.StatusBadRequest {
			t.Errorf("%q: %d %s", where, rec.Code, rec.Body)
		}
	}
}

func TestComparedRowsAreARunsDataAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.ownedRun("x", 40)
	w.ownedRun("y", 30)
	rec := w.do("GET", "/api/v1/compare/rows?a=x&b=y&show=all&where=row.n%3C3&download=1", "")
	lines := strings.Split(strings.TrimSuffix(rec.Body.String(), "\n"), "\n")
	if rec.Code != http.StatusOK || len(lines) != 3 || !strings.Contains(rec.Header().Get("Content-Disposition"), "four_class_rows.jsonl") {
		t.Fatalf("%d %v: %s", rec.Code, rec.Header(), rec.Body)
	}
	r, err := dataset.ParseRow([]byte(lines[1]))
	if err != nil || r.Instruction != "Classify." || r.Input != "text 1" || r.Output != "ESCALATION" || r.Label != "ESCALATION" || r.Group != "g0" || r.Language != "ja" {
		t.Errorf("%+v, %v: %s", r, err, lines[1])
	}
	if v, there := r.Get("n"); !there || v.Text != "1" {
		t.Errorf("%+v", v)
	}
	w.judgedRun("odd", 4, func(i int) string { return "MAYBE" })
	if rec := w.do("GET", "/api/v1/compare/rows?a=x&b=y&show=most", ""); rec.Code != http.StatusBadRequest {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

func TestWhereARunWasMeasuredIsToldWithoutItsRows(t *testing.T) {
	w := newWorld(t, nil)
	w.judgedRun("x", 40, func(i int) string { return "ALLOW" })
	if _, err := w.store.SaveArtifact(ctx, "x", artifactAB, "", strings.NewReader(`{"device":"cpu","environment":{"go":"go1.26"},"samples":[{"text":"a"},{"text":"b"}]}`)); err != nil {
		t.Fatal(err)
	}
	var got environment
	decode(t, w.do("GET", "/api/v1/runs/x/environment", ""), &got)
	if got.Rows != 2 || got.Device != "cpu" || got.Environment["go"] != "go1.26" {
		t.Errorf("%+v", got)
	}
}

func TestAComparisonIsReadAnewWhenItsRunsChange(t *testing.T) {
	w := newWorld(t, nil)
	w.judgedRun("x", 40, func(i int) string { return "ALLOW" })
	w.judgedRun("y", 40, func(i int) string { return "ALLOW" })
	var got comparedSamples
	differ := func() int {
		decode(t, w.do("GET", "/api/v1/compare/samples?a=x&b=y", ""), &got)
		return got.Counts.Differ
	}
	if n := differ(); n != 0 || got.Inference == nil {
		t.Fatalf("%d rows differ", n)
	}
	w.judgedRun("y", 40, func(i int) string { return "DENY" })
	if n := differ(); n != 40 {
		t.Errorf("after y was judged anew %d rows differ, want 40", n)
	}
	w.do("PATCH", "/api/v1/runs/x", `{"name":"named"}`)
	if differ(); got.A.Name != "named" {
		t.Errorf("%q", got.A.Name)
	}
	w.do("DELETE", "/api/v1/runs/x", "")
	if rec := w.do("GET", "/api/v1/compare/samples?a=x&b=y", ""); rec.Code != http.StatusNotFound {
		t.Errorf("of a run that was deleted: %d", rec.Code)
	}
}
