package config

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

const least = "data: {input_path: a}\nmodel: {base_model: b}\n"

func TestClassWeightsAreAWordOrAMapping(t *testing.T) {
	labels := []int{0, 0, 0, 0, 2, 3, 3, 0} // five of ALLOW, one of DENY, two of REFUSE
	for text, want := range map[string][]float64{
		"none": nil, `""`: nil, "{}": nil, "{ALLOW: 1}": nil,
		"balanced":                 {8.0 / 15, 1, 8.0 / 3, 8.0 / 6},
		"{ALLOW: 0.5, DENY: 3}":    {0.5, 1, 3, 1},
		`"DENY: 3, ALLOW: 0.5"`:    {0.5, 1, 3, 1},
		"{ESCALATION: 2, DENY: 1}": {1, 2, 1, 1},
	} {
		p, err := Parse("x.yaml", []byte(least+"training: {class_weights: "+text+"}\n"))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := p.Training.ClassWeights.Of(labels)
		if len(got) != len(want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
		for i := range want {
			if math.Abs(got[i]-want[i]) > 1e-12 {
				t.Errorf("%s: %v, want %v", text, got, want)
			}
		}
		if out, err := p.YAML(); err != nil {
			t.Error(err)
		} else if again, err := Parse("y.yaml", []byte(out)); err != nil || again.Training.ClassWeights != p.Training.ClassWeights {
			t.Errorf("%s is read back as %q; %v", text, again.Training.ClassWeights, err)
		}
		if again, err := Parse("z.yaml", []byte(least), "training.class_weights="+strings.Trim(text, `"`)); err != nil || again.Training.ClassWeights != p.Training.ClassWeights {
			t.Errorf("--set of %s: %q; %v", text, again.Training.ClassWeights, err)
		}
	}
	for text, want := range map[string]string{
		"equal":              `want none, balanced or a mapping such as {ALLOW: 1, DENY: 2}, have "equal"`,
		"{allow: 1}":         `have "allow"; did you mean ALLOW?`,
		"{ALLOW: 0}":         "ALLOW: a weight is over 0",
		"{ALLOW: -1}":        "ALLOW: a weight is over 0",
		"{ALLOW: .nan}":      "ALLOW: a weight is over 0",
		"{DENY: much}":       `DENY: a weight is over 0 and at most 1000000, have "much"`,
		"[1, 2, 3, 4]":       "have a list",
		"{DENY: 1, DENY: 2}": "given twice",
	} {
		_, err := Parse("x.yaml", []byte(least+"training:\n  class_weights: "+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "x.yaml:4: training.class_weights") && want != "given twice" {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestWhatChoosesNothingIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"training: {load_best: true}":                                                         "training.load_best: needs training.eval_steps",
		"training: {early_stopping_patience: 3}":                                              "training.early_stopping_patience: counts evaluations",
		"training: {early_stopping_threshold: 0.1}":                                           "training.early_stopping_threshold: means nothing without",
		"training: {load_best: true, eval_steps: 5, metric_for_best: f1}":                     "training.metric_for_best: want eval/loss, eval/accuracy, eval/macro_f1, eval/log_loss, eval/ece",
		"training: {load_best: true, eval_steps: 5, metric_for_best: eval/ece, eval_rows: 0}": "training.metric_for_best: eval/ece is computed from the answers",
		"training: {focal_gamma: 2, label_smoothing: 0.1}":                                    "training.focal_gamma, training.label_smoothing: are both set",
		"training: {label_smoothing: 1}":                                                      "training.label_smoothing: must be at least 0 and below 1",
		"test: {false_allow_limit: 0.1}":                                                      "test.false_allow_limit: is of test.thresholds: false_allow, not of none",
		"test: {calibration: platt}":                                                          "test.calibration: want none, temperature",
		"test: {thresholds: f1}":                                                              "test.thresholds: want none, accuracy, macro_f1, false_allow",
	} {
		if _, err := Parse("x.yaml", []byte(least+text+"\n")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestKeysAtTheirDefaultsAreNoPartOfWhatIsKeyed(t *testing.T) {
	text := func(v any) string {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	d := Default()
	for _, name := range []string{"EvalRows", "LoadBest", "MetricForBest", "EarlyStopping", "ClassWeights", "FocalGamma", "LabelSmoothing", "Devices"} {
		if strings.Contains(text(d.Training.Keyed()), name) {
			t.Errorf("the training's key has %s: %s", name, text(d.Training.Keyed()))
		}
	}
	for _, name := range []string{"Calibration", "Thresholds", "FalseAllow"} {
		if strings.Contains(text(d.Test.Keyed()), name) {
			t.Errorf("the test's key has %s: %s", name, text(d.Test.Keyed()))
		}
	}
	seen := map[string]string{text(d.Training.Keyed()): "the default"}
	for name, change := range map[string]func(*Training){
		"no rows": func(t *Training) { t.EvalRows = 0 }, "one row": func(t *Training) { t.EvalRows = 1 },
		"the best": func(t *Training) { t.LoadBest = true }, "the best by accuracy": func(t *Training) { t.LoadBest, t.MetricForBest = true, EvalAccuracy },
		"patience": func(t *Training) { t.EarlyStoppingPatience = 2 }, "balanced": func(t *Training) { t.ClassWeights = WeightsBalanced },
		"focal": func(t *Training) { t.FocalGamma = 1 }, "smooth": func(t *Training) { t.LabelSmoothing = 0.1 },
	} {
		changed := d.Training
		change(&changed)
		k := text(changed.Keyed())
		if seen[k] != "" {
			t.Errorf("%s has the key of %s", name, seen[k])
		}
		seen[k] = name
	}
	// What nothing reads changes no key.
	idle := d.Training
	idle.MetricForBest = EvalECE
	if text(idle.Keyed()) != text(d.Training.Keyed()) {
		t.Error("a metric by which nothing is chosen changes the key")
	}
	if !slices.Equal(EvalMetrics()[:1], []string{d.Training.MetricForBest}) || GreaterIsBetter(EvalLoss) || GreaterIsBetter(EvalECE) || !GreaterIsBetter(EvalMacroF1) {
		t.Error("directions")
	}
}
