package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
)

func TestRowsOfTheTrainingDataAreNoHeldOutRows(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	models, err := filepath.Glob(filepath.Join(dir, "work", "replace", "*", "model"))
	if err != nil || len(models) != 1 {
		t.Fatal(models, err)
	}
	sets, err := filepath.Glob(filepath.Join(dir, "work", "convert", "*", "dataset"))
	if err != nil || len(sets) != 1 {
		t.Fatal(sets, err)
	}
	rows := filepath.Join(dir, "rows.jsonl")
	whole, err := os.ReadFile(rows)
	if err != nil {
		t.Fatal(err)
	}
	// Near-duplicates without a group, one new row, and one bad line.
	near := strings.ReplaceAll(string(whole), `"source_sample":"s`, `"source_sample":"other`)
	own := filepath.Join(dir, "own.jsonl")
	if err := os.WriteFile(own, []byte(near+"broken\n"+`{"instruction":"Classify.","input":"What is the capital of France, and how many people live in it?","output":"ALLOW","four_class_label":"ALLOW"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, data, train string
		check             func(s *experiments.TestSet) bool
		floors            bool
		says              string
	}{
		{"the test split", sets[0], "", func(s *experiments.TestSet) bool { return s.Held() && s.TrainRows > 0 }, true, "held out: none of the "},
		{"the training file itself", rows, sets[0], func(s *experiments.TestSet) bool { return s.InTraining >= 40 && s.SameGroup >= 40 && !s.Held() }, true, "WARNING: "},
		{"near-duplicates under other groups", own, sets[0], func(s *experiments.TestSet) bool {
			return s.SameGroup == 0 && s.NearDuplicates >= 40 && s.NearDuplicates < s.Rows && s.Skipped == 1 && strings.Contains(s.Problems[0], "own.jsonl:65: is not a JSON object")
		}, true, "as near-duplicates"},
		{"training data as a file", own, rows, func(s *experiments.TestSet) bool { return s.NearDuplicates == 64 && s.Rows == 65 && s.TrainRows == 64 }, true, "64 of the 65 test rows are in the training data"},
		{"training data that is not known", rows, "", func(s *experiments.TestSet) bool { return !s.Checked && !s.Held() && s.Reason != "" }, false, "not checked against the training data: the training data is not known"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var said notes
			result, err := r.Engine.ABTest(t.Context(), ABTestOptions{ModelA: firstBase(t, dir), ModelB: models[0], TestData: tt.data, TrainData: tt.train,
				OutDir: t.TempDir(), Format: "instruction", MaxLength: 96, Test: config.Test{Resamples: 100}, Seed: 7}, &said)
			if err != nil {
				t.Fatal(err)
			}
			s := result.TestSet
			if !tt.check(s) || !strings.Contains(s.Sentence(), tt.says) || (len(result.Baselines) == 3) != tt.floors {
				t.Errorf("%+v, %q, %d floors", s, s.Sentence(), len(result.Baselines))
			}
			notes := strings.Join(said.text, "\n")
			if !s.Held() && !strings.Contains(notes, s.Sentence()) || s.Skipped > 0 && !strings.Contains(notes, "skipped "+own+":65") {
				t.Errorf("said %q", notes)
			}
		})
	}
	_, err = r.Engine.ABTest(t.Context(), ABTestOptions{ModelA: firstBase(t, dir), ModelB: models[0], TestData: own, Strict: true, OutDir: t.TempDir(), Format: "instruction", MaxLength: 96, Test: config.Test{Resamples: 100}}, &notes{})
	if err == nil || !strings.Contains(err.Error(), "own.jsonl:65: ") || !strings.Contains(err.Error(), "data.strict") {
		t.Errorf("strict: %v", err)
	}
}

func TestTheTrainingRowsAreThoseThatAreNamed(t *testing.T) {
	r, _ := newRunner(t)
	dir := t.TempDir()
	base := filepath.Join(dir, "base")
	chatBase(t, base)
	data := map[string]string{}
	for name, n := range map[string]int{"one": 64, "two": 24} {
		rows := filepath.Join(dir, name+".jsonl")
		writeRows(t, rows, n)
		o := ConvertOptions{BaseModel: base, OutDir: filepath.Join(dir, name), Options: dataset.Options{InputPath: rows, Format: "instruction", MaxLength: 96, NoSplit: name == "two", ValRatio: 0.1, TestRatio: 0.2}}
		if err := r.Engine.Convert(t.Context(), o, silent{}); err != nil {
			t.Fatal(err)
		}
		data[name] = filepath.Join(o.OutDir, "dataset")
	}
	splits, err := dataset.Open(data["one"])
	if err != nil {
		t.Fatal(err)
	}
	own := len(splits["train"].Rows)
	for train, want := range map[string]int{"": own, data["one"] + string(filepath.Separator): own, data["two"]: 24} {
		set, err := readTestSet(t.Context(), ABTestOptions{TestData: data["one"], TrainData: train}, silent{})
		if err != nil || len(set.train) != want || set.facts.TrainRows != want {
			t.Errorf("%q: %+v, %v; want %d rows", train, set, err, want)
		}
	}
	// A data set without a val split replaces as well.
	if err := r.Engine.Replace(t.Context(), ReplaceOptions{Model: base, Dataset: data["two"], OutDir: filepath.Join(dir, "so8t"), MaxLength: 96}, silent{}); err != nil {
		t.Error(err)
	}
}

func TestATestFileOfARunIsCheckedAgainstItsTrainSplit(t *testing.T) {
	dir, r, _ := afterOneRun(t)
	run, _, err := r.Run(t.Context(), smallConfig(t, dir, "test.test_data_path="+filepath.Join(dir, "rows.jsonl")), RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	result, err := ReadABResult(run.Steps[4].Output)
	if err != nil || result.TestSet == nil || result.TestSet.InTraining < 40 || len(result.Baselines) != 3 || result.TimingPasses != 3 {
		t.Errorf("%+v, %v", result.TestSet, err)
	}
}

func TestPretrainingTextFollowsThePolicyOfRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.jsonl")
	if err := os.WriteFile(path, []byte("broken\n"+`{"input":"a","output":"b","four_class_label":"DENY"}`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var said notes
	docs, err := PretrainText(t.Context(), path, "instruction", false, &said)
	if err != nil || len(docs) != 1 || len(said.text) != 1 || !strings.Contains(said.text[0], "skipped "+path+":1: ") {
		t.Errorf("%q, said %q, %v", docs, said.text, err)
	}
	if _, err := PretrainText(t.Context(), path, "instruction", true, &said); err == nil || !strings.Contains(err.Error(), path+":1: ") {
		t.Errorf("strict: %v", err)
	}
}
