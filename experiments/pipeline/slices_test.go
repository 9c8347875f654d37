package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/pipeline/metrictest"
	"triality/runtime/metricabi"
)

// sliced are nine rows of three classes, two topics, and one without a topic.
func sliced() *experiments.ABResult {
	r := &experiments.ABResult{}
	for i := range 9 {
		s := experiments.Sample{
			Index: i, Label: experiments.Labels[3-i%3], PredictionA: "ALLOW", PredictionB: "DENY", Group: fmt.Sprint(i),
			ProbabilityA: make([]float64, 4), ProbabilityB: make([]float64, 4), Columns: map[string]any{"topic": []any{"y", 7.0}[i%2], "each": fmt.Sprint(i)},
		}
		if i == 4 {
			delete(s.Columns, "topic")
		}
		r.Samples = append(r.Samples, s)
	}
	return r
}

func TestAMetricIsComputedOnTheRowsOfEachValueOfAColumn(t *testing.T) {
	r, _ := newRunner(t)
	got := r.Engine.EvaluateModule(t.Context(), Module{Name: "m", Wasm: metrictest.CountsRows("rows"), Slices: []string{"class", "topic", "none"}}, sliced())
	if got.Error != "" || got.Outputs[0].Values[0] != 9 {
		t.Fatalf("%+v", got)
	}
	var is []string
	for _, s := range got.Slices {
		text := fmt.Sprintf("%s=%s %d", s.By, s.Value, s.Rows)
		if s.Error == "" && (len(s.Outputs) != 1 || s.Outputs[0].Values[0] != float64(s.Rows)) {
			t.Errorf("%s: %+v", text, s.Outputs)
		}
		is = append(is, text)
	}
	want := []string{"class=ESCALATION 3", "class=DENY 3", "class=REFUSE 3", "topic=7 4", "topic=y 4", "topic= 1", "none= 0"}
	if !slices.Equal(is, want) {
		t.Errorf("slices %q, want %q", is, want)
	}
	if last := got.Slices[len(got.Slices)-1].Error; !strings.Contains(last, `"none"`) || !strings.Contains(last, "topic") {
		t.Errorf("a column that no row has: %q", last)
	}
	many := sliced()
	for range 4 {
		many.Samples = append(many.Samples, many.Samples...)
	}
	for i := range many.Samples {
		many.Samples[i].Group = fmt.Sprint(i)
	}
	if got := r.Engine.EvaluateModule(t.Context(), Module{Name: "m", Wasm: metrictest.CountsRows("rows"), Slices: []string{"group"}}, many); len(got.Slices) != 1 || !strings.Contains(got.Slices[0].Error, "144 values, at most 64") {
		t.Errorf("%+v", got.Slices)
	}
	// A metric that fails on one slice fails there alone.
	if got := r.Engine.EvaluateModule(t.Context(), Module{Name: "m", Wasm: metrictest.OfRows("picky", 9), Slices: []string{"class"}}, sliced()); got.Error != "" || len(got.Slices) != 3 || got.Slices[0].Error == "" {
		t.Errorf("%+v", got)
	}
}

func TestAColumnIsTheSameOnceItWasStored(t *testing.T) {
	live := experiments.Sample{Columns: experiments.Columns{"n": json.Number("9007199254740993"), "f": json.Number("5.0"), "list": json.RawMessage(`[ 1,  2.50 ]`), "o": json.RawMessage(`{"b": 1, "a": true}`), "s": "x"}}
	text, err := json.MarshalIndent(live, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	var stored experiments.Sample
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"n": "9007199254740993", "f": "5.0", "list": "[1,2.50]", "o": `{"a":true,"b":1}`, "s": "x"} {
		a, errA := asText(live.Columns[name])
		b, errB := asText(stored.Columns[name])
		if a != want || b != want || errA != nil || errB != nil {
			t.Errorf("%s: %q, stored %q, want %q (%v %v)", name, a, b, want, errA, errB)
		}
	}
	if n, err := asInteger(stored.Columns["n"], 64); err != nil || n != 9007199254740993 {
		t.Errorf("%d %v", n, err)
	}
}

func TestRowsThatAClientStoredNeedNotBeWhole(t *testing.T) {
	r, _ := newRunner(t)
	for name, wasm := range map[string][]byte{
		"all columns": metrictest.Needing("m", 1, `{"role":"label"},{"role":"prediction","arm":"A"},{"role":"probability","arm":"B"},{"role":"latency","arm":"A"}`),
	} {
		ab := &experiments.ABResult{Samples: []experiments.Sample{{}, {Label: "ALLOW", PredictionA: "MAYBE", ProbabilityB: []float64{1}}}}
		got := r.Engine.EvaluateModule(t.Context(), Module{Name: "m", Wasm: wasm, Slices: []string{"class", "language"}}, ab)
		if got.Error != "" || len(got.Slices) != 3 {
			t.Errorf("%s: %+v", name, got)
		}
		if got := r.Engine.EvaluateModule(t.Context(), Module{Name: "m", Wasm: wasm, Slices: []string{"language"}}, &experiments.ABResult{}); len(got.Slices) != 0 {
			t.Errorf("%s, no rows: %+v", name, got)
		}
	}
	table, err := metricTable([]experiments.Sample{{Label: "ALLOW", PredictionA: "MAYBE"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range table.Columns {
		if has := c.Valid(0); (c.Role == metricabi.RoleProbability || c.Role == metricabi.RolePrediction) && has || c.Role == metricabi.RoleLabel && !has {
			t.Errorf("%s %s has a value: %v", c.Role, c.Arm, has)
		}
	}
}

func TestAMetricOfVersion11ReadsArmsListsAndLogProbabilities(t *testing.T) {
	r := sliced()
	for i := range r.Samples {
		s := &r.Samples[i]
		s.OutputA, s.OutputB, s.LogProbA = &s.Label, &s.Label, []float32{-0.5, -0.25}
		s.Columns["list"] = []any{1.0, 2.0}
	}
	d := metricabi.Description{ABI: metricabi.Version11, Columns: []metricabi.Need{
		{Role: metricabi.RoleTokenLogProb, Arm: metricabi.ArmEach}, {Role: metricabi.RoleExtra, Name: "list", DType: metricabi.F64List},
	}}
	table, err := metricTable(r.Samples, d.Columns)
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.Select(table)
	if err != nil || got.Check() != nil {
		t.Fatal(err, got.Check())
	}
	var is []string
	for _, c := range got.Columns[len(experiments.Labels):] {
		is = append(is, c.Role.String()+" "+c.Arm.String())
	}
	if want := []string{"arm A", "arm B", "token_logprob A", "token_logprob B", "extra shared"}; !slices.Equal(is, want) {
		t.Errorf("columns %q, want %q", is, want)
	}
	n := len(got.Columns)
	if !slices.Equal(got.Columns[n-3].List(8), []float64{-0.5, -0.25}) || !slices.Equal(got.Columns[n-1].List(0), []float64{1, 2}) || len(got.Columns[n-2].List(0)) != 0 {
		t.Errorf("%+v", got.Columns[n-3:])
	}
	r.Samples[3].Columns["list"] = []any{"x"}
	if _, err := metricTable(r.Samples, d.Columns); err == nil || !strings.Contains(err.Error(), "row 3") {
		t.Errorf("a list of no numbers: %v", err)
	}
}
