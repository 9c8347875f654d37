package config

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"triality/experiments"
)

var update = flag.Bool("update", false, "rewrite golden files")

const minimal = "data:\n  input_path: rows.jsonl\nmodel:\n  base_model: base\n"

func TestParseReadsValuesOverTheDefaults(t *testing.T) {
	p, err := Parse("x.yaml", []byte(minimal+"training:\n  learning_rate: 3e-4\n  lora_target_modules: [q_proj, v_proj]\n  checkpoint_interval: 90s\n"))
	if err != nil {
		t.Fatal(err)
	}
	if p.Training.LearningRate != 3e-4 || len(p.Training.LoraTargetModules) != 2 || p.Training.BatchSize != Default().Training.BatchSize {
		t.Errorf("training = %+v", p.Training)
	}
	if time.Duration(p.Training.CheckpointInterval) != 90*time.Second {
		t.Errorf("checkpoint_interval = %v", time.Duration(p.Training.CheckpointInterval))
	}
}

func TestOneWordStandsForAListOfOne(t *testing.T) {
	p, err := Parse("x.yaml", []byte(minimal+"training:\n  lora_target_modules: all-linear\n"))
	if err != nil || len(p.Training.LoraTargetModules) != 1 {
		t.Fatalf("%v %v", p.Training.LoraTargetModules, err)
	}
}

func TestOverridesWinOverTheFile(t *testing.T) {
	p, err := Parse("x.yaml", []byte(minimal), "data.input_path=other", "training.lora_r=4", "report.language=ja")
	if err != nil {
		t.Fatal(err)
	}
	if p.Data.InputPath != "other" || p.Training.LoraR != 4 || p.Report.Language != "ja" {
		t.Errorf("got %q %d %q", p.Data.InputPath, p.Training.LoraR, p.Report.Language)
	}
}

func TestBadInputIsNamedWithFileLineAndKey(t *testing.T) {
	tests := []struct {
		name, yaml string
		set        []string
		want       []string
	}{
		{"an unknown key names the nearest", minimal + "training:\n  learning_rte: 1\n", nil,
			[]string{"x.yaml:6: training.learning_rte: unknown key", "nearest known key is training.learning_rate"}},
		{"a key in the wrong section names its place", minimal + "learning_rate: 1\n", nil,
			[]string{"x.yaml:5: learning_rate", "training.learning_rate"}},
		{"an unknown key inside a list", minimal + "test:\n  metrics:\n    - modul: a.wasm\n", nil,
			[]string{"test.metrics[0].modul", "test.metrics[].module"}},
		{"a word where a number is wanted", minimal + "training:\n  lora_r: many\n", nil,
			[]string{"x.yaml:6: training.lora_r: want a whole number", `"many"`}},
		{"a duration without a unit", minimal + "training:\n  checkpoint_interval: 5\n", nil,
			[]string{"x.yaml:6: training.checkpoint_interval", "5m"}},
		{"a value out of range", minimal + "training:\n  lora_dropout: 1.5\n", nil,
			[]string{"training.lora_dropout", "less than 1", "1.5"}},
		{"more epochs than counters hold", minimal + "training:\n  num_train_epochs: 1e300\n", nil,
			[]string{"training.num_train_epochs", "at most 100000", "1e+300"}},
		{"a millionth of a millionth of an epoch", minimal + "training:\n  num_train_epochs: 1e-12\n", nil,
			[]string{"training.num_train_epochs", "at least"}},
		{"epochs without end", minimal + "so8t:\n  num_train_epochs: .inf\n", nil,
			[]string{"so8t.num_train_epochs", "at most"}},
		{"epochs that are no number", minimal + "training:\n  num_train_epochs: .nan\n", nil,
			[]string{"training.num_train_epochs", "NaN"}},
		{"a rate without end", minimal + "training:\n  learning_rate: .inf\n", nil,
			[]string{"training.learning_rate", "at most"}},
		{"a batch past all memory", minimal + "training:\n  per_device_train_batch_size: 9223372036854775807\n", nil,
			[]string{"training.per_device_train_batch_size", "at most"}},
		{"a key given twice", minimal + "seed: 1\nseed: 2\n", nil, []string{"seed"}},
		{"a scheduler that is not there", minimal + "training:\n  lr_scheduler_type: cosin\n", nil,
			[]string{"cosine, linear, constant", "cosin"}},
		{"no data", "model:\n  base_model: b\n", nil, []string{"data.input_path", "is needed"}},
		{"not YAML", "a: [", nil, []string{"x.yaml"}},
		{"an override with an unknown key", minimal, []string{"trainig.lora_r=3"}, []string{"--set trainig.lora_r", "training.lora_r"}},
		{"an override without a value", minimal, []string{"seed"}, []string{"KEY=VALUE"}},
		{"an override with a wrong value", minimal, []string{"training.lora_r=x"}, []string{"--set training.lora_r=x", "whole number"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("x.yaml", []byte(tt.yaml), tt.set...)
			if err == nil {
				t.Fatal("no error")
			}
			if experiments.CodeOf(err) != experiments.CodeInvalid {
				t.Errorf("code = %s", experiments.CodeOf(err))
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q does not contain %q", err, w)
				}
			}
		})
	}
}

func TestAMissingFileIsNamed(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"))
	if experiments.CodeOf(err) != experiments.CodeNotFound || !strings.Contains(err.Error(), "none.yaml") {
		t.Fatal(err)
	}
}

func TestWhatIsNotSetIsNoPartOfTheKeysOfStepsThatRanBefore(t *testing.T) {
	// Step keys hash this JSON: a name more would make every A/B test run anew.
	test := Default().Test
	test.Metrics = []Metric{{Module: "m"}}
	got, err := json.Marshal(test.Keyed())
	if want := `{"TestDataPath":"","ModelAPath":"","ModelBPath":"","Warmup":8,"TimingPasses":3,"Resamples":2000,"Metrics":[{"Module":"m","Params":null,"Timeout":0}]}`; err != nil || string(got) != want {
		t.Errorf("%s %v, want %s", got, err, want)
	}
	test.Generate = Generate{MaxNewTokens: 5}
	if with, err := json.Marshal(test.Keyed()); err != nil || string(with) == string(got) {
		t.Errorf("%s %v", with, err)
	}
}

func TestTextsOfATestAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"test.generate={temperature: 1}":                               "test.generate.max_new_tokens: is needed",
		"test.generate={max_new_tokens: -1}":                           "at least 0",
		"test.generate={max_new_tokens: 8, temperature: -1}":           "temperature is -1",
		"test.generate={max_new_tokens: 8, top_k: 5}":                  "temperature is 0",
		"test.generate={max_new_tokens: 8, stop: [\"\"]}":              "test.generate.stop",
		"test.generate={max_new_tokens: 8, batch_size: -2}":            "test.generate.batch_size",
		"test.generate={max_new_tokens: 8, max_new_token: 3}":          "unknown key",
		"test.generate={max_new_tokens: 8, temperature: 1, top_p: 2.}": "top-p is 2",
	} {
		if _, err := Parse("x.yaml", []byte(minimal), set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	if p, err := Parse("x.yaml", []byte(minimal), "test.generate={max_new_tokens: 8, temperature: 0.7, stop: [\"###\"]}"); err != nil || p.Test.Generate.MaxNewTokens != 8 || p.Test.Generate.Stop[0] != "###" {
		t.Errorf("%+v %v", p.Test.Generate, err)
	}
}

func TestTheReferencePageIsWhatTheCodeGives(t *testing.T) {
	const path = "../../docs/configuration.md"
	if *update {
		if err := os.WriteFile(path, []byte(Reference()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != Reference() {
		t.Errorf("%s is not what `triality config reference` prints: %v", path, err)
	}
	for _, k := range Keys() {
		if !strings.Contains(Reference(), "`"+k+"`") {
			t.Errorf("key %s is missing", k)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("training: {lora_target_modules: [a, *x]}"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if _, err := Parse("x.yaml", text); err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("an error without a message")
		}
	})
}

func TestTheNearestKeyIsOfTheSameSectionWhereItIsSpelledAlike(t *testing.T) {
	for unknown, want := range map[string]string{
		"data.max_lenght":               "data.max_length",
		"training.learningrat":          "training.learning_rate",
		"training.num_train_epochs_max": "training.num_train_epochs",
		"model.create.tests":            "model.create.text", // two letters of five are off, as many as may be: not test
		"model.create.test":             "model.create.text", // one letter off here comes before the very word elsewhere
		"training.base_mode":            "model.base_model",  // five of nine are off in training's nearest: one too many
		"data.metrics":                  "test.metrics",      // the very word, in another section
		"training.packin":               "training.packing",
		"seeds":                         "seed",
	} {
		if got := suggest(unknown, Keys()); got != "; the nearest known key is "+want {
			t.Errorf("%s%s, want %s", unknown, got, want)
		}
	}
}

// What --set gives is handed on as YAML, to a server say.
func TestAConfigurationReadsBackFromItsYAML(t *testing.T) {
	for _, overrides := range [][]string{nil, {"training.lora_r=3"}, {"test.generate={max_new_tokens: 5, stop: [x]}"}, {"test.metrics=[{module: a.wasm, params: {a: 1}}]"}} {
		first, err := Parse("x.yaml", []byte("data: {input_path: a}\nmodel: {base_model: b}\n"), overrides...)
		if err != nil {
			t.Fatal(err)
		}
		text, err := first.YAML()
		if err != nil {
			t.Fatal(err)
		}
		second, err := Parse("y.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", overrides, err)
		}
		if again, err := second.YAML(); err != nil || again != text {
			t.Errorf("%q: %v; read back as\n%s\nwant\n%s", overrides, err, again, text)
		}
	}
}

func TestAWrittenConfigurationReadsBackToTheSameValues(t *testing.T) {
	for name, text := range map[string]string{
		"defaults":          "",
		"empty on purpose":  "training: {lora_exclude_modules: [], lora_rank_pattern: {}}\n",
		"lists and numbers": "training: {lora_target_modules: [q_proj], lora_rank_pattern: {down_proj: 4}, checkpoint_interval: 90s}\ndevice_memory_limit: 11GiB\ntest: {metrics: [{module: a.wasm}, {module: b.wasm, params: {k: 1}, slices: [class]}], generate: {max_new_tokens: 3}}\n",
	} {
		want, err := Parse(name, []byte("data: {input_path: a}\nmodel: {base_model: b}\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		written, err := want.YAML()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse(name, []byte(written))
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, written)
		}
		if !reflect.DeepEqual(got, want) { // an empty list is none: steps' keys tell the two apart
			t.Errorf("%s: %+v\nwas %+v\nwritten as\n%s", name, got, want, written)
		}
	}
}

func TestADesignThatCannotBeTestedIsRefusedByItsKey(t *testing.T) {
	for set, want := range map[string]string{
		"test.design.primary=acuracy":                                                         `test.design.primary: want one of accuracy, macro_f1`,
		"test.design.claim=better":                                                            `test.design.claim: want superiority, non_inferiority, equivalence`,
		"test.design.claim=equivalence":                                                       "test.design.margin: must be over 0 for equivalence",
		"test.design.unit=''":                                                                 "test.design.unit: is needed",
		"test.design.guardrails=[{metric: false_allow}]":                                      "test.design.guardrails[0].margin: must be over 0",
		"test.design.guardrails=[{metric: x, margin: 0.1}]":                                   "test.design.guardrails[0].metric: want one of",
		"test.design.guardrails=[{metric: accuracy, margin: 0.1}]":                            "test.design.guardrails[0].metric: accuracy is the primary metric already",
		"test.design.guardrails=[{metric: log_loss, margin: 1},{metric: log_loss,margin: 1}]": "test.design.guardrails[1].metric: log_loss is given twice",
		"test.design.alpha=0":                                                                 "test.design.alpha: must be over 0",
		"test.design.margn=0.1":                                                               "test.design.margin",
	} {
		if _, err := Parse("x.yaml", []byte(minimal), set); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
	if _, err := Parse("x.yaml", []byte(minimal+"test: {design: {primary: macro_f1, looks: any, guardrails: []}}\n")); err == nil || !strings.Contains(err.Error(), "macro_f1 is no share of rows") {
		t.Error(err)
	}
	p, err := Parse("x.yaml", []byte(minimal+"test: {design: {primary: recall.DENY, claim: non_inferiority, margin: 0.02, guardrails: []}}\n"))
	if err != nil || p.Test.Design.Hash() == Default().Test.Design.Hash() || len(p.Test.Design.Guardrails) != 0 {
		t.Errorf("%+v %v", p.Test.Design, err)
	}
}
