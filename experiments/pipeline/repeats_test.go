package pipeline

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/config"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
	"triality/experiments/verdict"
)

// ownBase makes a folder with rows and a base model that only planning reads.
func ownBase(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	writeRows(t, "rows.jsonl", 64)
	if err := os.Mkdir("own", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"config.json": `{"model_type":"llama"}`, "tokenizer.json": tinyTokenizer, "model.safetensors": "weights"} {
		if err := os.WriteFile(filepath.Join("own", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// keysByName plans a configuration and gives its steps' keys by their names.
func keysByName(t *testing.T, set ...string) map[string]string {
	t.Helper()
	p, err := makePlan(t.Context(), smallConfig(t, ".", append([]string{"model.base_model=own"}, set...)...), nil, "cpu", nil, &notes{}, stepkinds.All(host{&Engine{}, &execution{}}), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, s := range p.Steps {
		out[s.Name] = s.Key
	}
	return out
}

func TestATrainingsStepsAreThoseOfARunWithItsSeed(t *testing.T) {
	ownBase(t)
	three := keysByName(t, "repeats=3", "seed_train=11")
	if got := slices.Sorted(maps.Keys(three)); strings.Join(got, " ") != "abtest-1 abtest-2 abtest-3 convert finetune finetune-2 finetune-3 repeats replace replace-2 replace-3 report" {
		t.Fatal(got)
	}
	for r, suffix := range []string{"", "-2", "-3"} {
		alone := keysByName(t, fmt.Sprint("seed_train=", 11+r))
		for _, kind := range []string{"finetune", "replace"} {
			if three[kind+suffix] != alone[kind] {
				t.Errorf("%s%s has not the key of a run with seed_train %d", kind, suffix, 11+r)
			}
		}
		if test := fmt.Sprint("abtest-", r+1); three[test] != alone["abtest"] {
			t.Errorf("%s has not the key of a run with seed_train %d", test, 11+r)
		}
		if three["convert"] != alone["convert"] {
			t.Error("the trainings have splits of their own")
		}
	}
	one := keysByName(t, "repeats=1", "seed_train=11")
	if !maps.Equal(one, keysByName(t, "seed_train=11")) || one["repeats"] != "" {
		t.Error("one training is another than none said")
	}
	for _, tt := range []struct{ set, want string }{
		{"test.design.looks=any", "repeats, test.design.looks"},
		{"test.model_b_path=own", "repeats, test.model_b_path"},
		{"repeats=0", "repeats"},
		{"test.arms=[finetund]", "did you mean finetuned"},
		{"test.arms=[linear,linear]", "given twice"},
	} {
		if _, err := config.Parse("c.yaml", []byte(smallYAML), "data.input_path=x", "model.base_model=own", "repeats=2", tt.set); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.set, err)
		}
	}
}

func TestOtherArmsAreStepsOfTheRunAndNoneIsWithoutAKey(t *testing.T) {
	ownBase(t)
	usual, none := keysByName(t), keysByName(t, "test.arms=[]")
	if usual["abtest"] == none["abtest"] || usual["replace"] != none["replace"] {
		t.Error("arms are not in the test's key alone")
	}
	all := keysByName(t, "test.arms=[base,finetuned,so8t,identity,burned_in,8bit,majority,naive_bayes,linear]", "repeats=2")
	for _, step := range []string{"identity", "identity-2", "burn-in", "burn-in-2"} {
		if all[step] == "" {
			t.Errorf("there is no step %s: %v", step, slices.Sorted(maps.Keys(all)))
		}
	}
	text, err := GraphOf(smallConfig(t, ".", "model.base_model=own", "repeats=2"))
	if err != nil {
		t.Fatal(err)
	}
	spec, err := ParseSpec("g.yaml", text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	r, _ := newRunner(t)
	steps, err := r.Plan(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	two := keysByName(t, "repeats=2")
	for _, s := range steps {
		if two[s.Name] != s.Key {
			t.Errorf("as a graph %s has another key", s.Name)
		}
	}
}

// answersOf makes A/B results of rows that both arms answered, B rightly with a chance of its own.
func answersOf(t *testing.T, right ...float64) (out []*experiments.ABResult) {
	t.Helper()
	const rows = 80
	for k, p := range right {
		r := &experiments.ABResult{Rows: rows, Device: "toy"}
		for i := range rows {
			s := experiments.Sample{Index: i, Text: fmt.Sprint("row ", i), Group: fmt.Sprint("g", i/2), Label: experiments.Labels[i%4], PredictionA: experiments.Labels[i/3%4], PredictionB: experiments.Labels[(i+1)%4]}
			if float64((i*37+k*11)%100)/100 < p {
				s.PredictionB = s.Label
			}
			r.Samples = append(r.Samples, s)
		}
		units, err := unitsOfSamples(r.Samples, experiments.UnitSource)
		if err != nil {
			t.Fatal(err)
		}
		gold := make([]int, rows)
		for i := range gold {
			gold[i] = i % 4
		}
		r.Others = []experiments.ArmResult{scored(experiments.ArmResult{Name: "linear"}, gold, experiments.Answers{Predictions: gold})}
		r.Arms[0].Model, r.Arms[1].Model = "base", fmt.Sprint("tuned ", k)
		r.Inference = abtest.Infer(r.Samples, units, experiments.DefaultDesign(), 1)
		r.Inference.Looks = &experiments.Looks{Count: k + 1}
		verdict.Decide(r.Inference)
		r.Differences = append(inferred(r), experiments.Difference{Metric: "latency_median_ms"})
		out = append(out, r)
	}
	return out
}

func TestTheResultOfSeveralTrainingsIsOverAllOfThem(t *testing.T) {
	results := answersOf(t, 0.9, 0.5, 0.7)
	r, err := together(results, []uint64{7, 8, 9}, 1)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Inference.Of("accuracy")
	mean := 0.0
	for k, one := range results {
		of := one.Inference.Of("accuracy")
		mean += float64(of.B.Value) / 3
		if c.Trainings.B[k] != of.B.Value || c.Trainings.Delta[k] != of.Delta.Value || r.Trainings[k].Seed != uint64(7+k) || r.Trainings[k].Models[1] != fmt.Sprint("tuned ", k) {
			t.Errorf("training %d: %+v, %+v", k, c.Trainings, r.Trainings[k])
		}
	}
	if got := float64(c.B.Value); got < mean-1e-12 || got > mean+1e-12 || r.Arms[1].Scores.Accuracy != got || c.Rows != 80 || c.Clusters != 40 || r.Rows != 80 {
		t.Errorf("%+v, %+v, want %v", c, r.Arms[1].Scores, mean)
	}
	one := results[0].Inference.Of("accuracy").Delta
	if c.Delta.High-c.Delta.Low < one.High-one.Low {
		t.Errorf("over seeds %v, of one %v", c.Delta, one)
	}
	if d := r.Differences; d[0].B != float64(c.B.Value) || d[len(d)-1].Metric != "latency_median_ms" || r.Inference.Looks.Count != 3 {
		t.Errorf("%+v, %+v", d, r.Inference.Looks)
	}
	if len(r.Inference.Contrasts) != 2 || r.Inference.Contrasts[0].Comparisons[0].Trainings == nil || r.Others[0].Scores.Accuracy != 1 {
		t.Errorf("%+v", r.Inference.Contrasts)
	}
	if results[0].Arms[1].Confusion != nil || len(results[0].Trainings) > 0 {
		t.Error("the first result was written to")
	}
	for want, change := range map[string]func(r *experiments.ABResult){
		"row 3 of results[0] and of results[1] differ": func(r *experiments.ABResult) { r.Samples[3].Text = "another" },
		"results[1] has another design":                func(r *experiments.ABResult) { r.Inference.DesignHash = "other" },
		"results[1] holds no rows":                     func(r *experiments.ABResult) { r.Inference = nil },
		"results[1] has other arms":                    func(r *experiments.ABResult) { r.Others = nil },
		"several trainings already":                    func(r *experiments.ABResult) { r.Trainings = make([]experiments.Training, 2) },
		"results[0] has 80 rows and results[1] 79":     func(r *experiments.ABResult) { r.Samples = r.Samples[1:] },
		"labels or answers are other":                  func(r *experiments.ABResult) { r.Samples[0].PredictionB = "X" },
	} {
		bad := answersOf(t, 0.9, 0.5)
		change(bad[1])
		if _, err := together(bad, []uint64{1, 2}, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The second training alone is computed: the first was there.
func TestARunOfTwoTrainingsTakesOverTheFirstAndJudgesBoth(t *testing.T) {
	dir, r, tracker := afterOneRun(t)
	run, _, err := r.Run(t.Context(), smallConfig(t, dir, "repeats=2"), RunOptions{Name: "two"})
	if err != nil {
		t.Fatal(err)
	}
	want := "base reused, convert reused, finetune reused, replace reused, abtest reused, finetune finished, replace finished, abtest finished, repeats finished, report finished"
	if got := statuses(run); got != want {
		t.Fatal(got)
	}
	result, err := ReadABResult(run.Steps[8].Output)
	if err != nil || len(result.Trainings) != 2 || result.Trainings[0].Seed != 7 || result.Trainings[1].Seed != 8 || len(result.Inference.Seeds) != 2 {
		t.Fatalf("%+v, %v", result.Trainings, err)
	}
	if len(result.Others) != 1 || len(result.Inference.Contrasts) != 2 {
		t.Errorf("the fine-tuned model is no arm: %+v", result.Others)
	}
	kept := new(experiments.ABResult)
	if err := graph.ReadJSON(filepath.Join(run.Steps[8].Output, resultsName), kept); err != nil || len(tracker.artifacts[run.ID+"/abtest/results.json"]) == 0 || len(tracker.artifacts[run.ID+"/abtest-2/results.json"]) == 0 {
		t.Errorf("artifacts: %v, %v", err, slices.Sorted(maps.Keys(tracker.artifacts)))
	}
	if text := string(tracker.artifacts[run.ID+"/abtest/results.json"]); !strings.Contains(text, `"seed_error"`) {
		t.Error("the run's result is that of one training")
	}
	if got := run.Summary["abtest/b/accuracy"]; got != float64(result.Inference.Of("accuracy").B.Value) || run.Summary["abtest-2/abtest/b/accuracy"] != result.Trainings[1].Scores[1].Accuracy {
		t.Errorf("summary %v", run.Summary)
	}
	if result.Inference.Looks == nil || result.Inference.Looks.Count != 2 {
		t.Errorf("two trainings of one plan after a first look: %+v", result.Inference.Looks)
	}
}
