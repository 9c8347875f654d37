package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/generate"
	"triality/runtime/model"
	"triality/runtime/modelfiles"
	"triality/runtime/modelfolder"
	"triality/runtime/safetensors"
	"triality/runtime/so8t"
)

// companions are files that go with a model, and others that do not.
var companions = map[string]string{
	"generation_config.json": `{"eos_token_id": [3, 5, 7], "temperature": 0.6, "of_our_own": {"a": 1}}`,
	"chat_template.jinja":    `{% for m in messages %}{{ m.content }}{% endfor %}`, "additional_chat_templates/rag.jinja": "{{ messages }}",
	"special_tokens_map.json": `{}`, "tokenizer.model": "\x00sentencepiece", "preprocessor_config.json": `{"size": 224}`, "LICENSE": "free",
}

// silent is a sink that keeps nothing.
type silent struct{}

func (silent) Progress(experiments.Progress)         {}
func (silent) Metrics(experiments.MetricBatch) error { return nil }
func (silent) Note(string)                           {}

var strangers = []string{"README.md", "trainer_state.json", "optimizer.pt", "notes.txt", "additional_chat_templates/notes.txt"}

func TestEveryWriterOfAModelKeepsTheFilesThatBelongToIt(t *testing.T) {
	ctx := context.Background()
	dir, r, _ := afterOneRun(t)
	base := firstBase(t, dir)
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(base, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range companions {
		put(name, text)
	}
	for _, name := range strangers {
		put(name, "not the model's")
	}
	want, err := modelfiles.List(base)
	if err != nil || len(want) != len(companions)+2 { // and the tokenizer's two
		t.Fatalf("%v, %v", want, err)
	}
	cfg := smallConfig(t, dir)
	full := cfg.Training
	full.FinetuningType = "full"
	data := inCopy(t, dir, firstRun(t).Steps[1].Output)
	out := filepath.Join(t.TempDir(), "out")
	at := func(parts ...string) string { return filepath.Join(append([]string{out}, parts...)...) }
	finetune := func(t config.Training, to string) error {
		return r.Engine.Finetune(ctx, FinetuneOptions{BaseModel: base, Dataset: filepath.Join(data, "dataset"), OutDir: to, Training: t, MaxLength: 96}, silent{})
	}
	for _, w := range []struct {
		name, folder string
		write        func() error
	}{
		{"finetune", at("lora", "merged"), func() error { return finetune(cfg.Training, at("lora")) }},
		{"full fine-tuning", at("full", "merged"), func() error { return finetune(full, at("full")) }},
		{"model merge", at("merged"), func() error { return Merge(ctx, base, at("lora", "adapter"), at("merged")) }},
		{"replace", at("replace", "model"), func() error {
			return r.Engine.Replace(ctx, ReplaceOptions{Model: at("lora", "merged"), OutDir: at("replace"), SO8T: config.SO8T{LearningRate: 1, BatchSize: 1}}, silent{})
		}},
		{"burn-in", at("plain"), func() error { return so8t.BurnIn(ctx, at("replace", "model"), at("plain"), "") }},
		{"convert", at("half"), func() error {
			return modelfolder.Convert(ctx, at("plain"), at("half"), modelfolder.ConvertOptions{DType: safetensors.BF16})
		}},
		{"model init --like", at("like"), func() error { return InitLike(ctx, at("like"), base, 1) }},
		{"pretrain", at("pretrained"), func() error {
			return r.Engine.Pretrain(ctx, PretrainOptions{ModelDir: base, OutDir: at("pretrained"), WorkDir: at("work"), Docs: []string{"a b c", "d e"}, MaxLength: 16, Create: config.Create{Epochs: 1, LearningRate: 1e-3, BatchSize: 2}}, silent{})
		}},
	} {
		t.Run(w.name, func(t *testing.T) {
			if err := w.write(); err != nil {
				t.Fatal(err)
			}
			got, err := modelfiles.List(w.folder)
			got = slices.DeleteFunc(got, func(name string) bool { return name == "modeling_so8t.py" }) // replace's own
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("kept %v, %v", got, err)
			}
			for _, name := range want {
				a, errA := os.ReadFile(filepath.Join(base, name))
				b, errB := os.ReadFile(filepath.Join(w.folder, name))
				if errA != nil || errB != nil || string(a) != string(b) {
					t.Errorf("%s is %q, was %q: %v, %v", name, b, a, errA, errB)
				}
			}
			for _, name := range strangers {
				text, err := os.ReadFile(filepath.Join(w.folder, filepath.FromSlash(name)))
				if own := name == cardName && strings.Contains(string(text), "Made by Triality"); err == nil && !own {
					t.Errorf("%s came along", name)
				}
			}
			if end, err := generate.EndTokens(w.folder, model.Config{EOS: []int{0}}); err != nil || !slices.Equal(end, []int32{3, 5, 7}) {
				t.Errorf("its texts end at %v, %v", end, err)
			}
		})
	}
}

func TestTheKeyOfAModelHoldsEveryFileThatBelongsToIt(t *testing.T) {
	dir := t.TempDir()
	for name, text := range companions {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before, err := hashModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name := range companions {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.WriteFile(path, []byte("other"), 0o644); err != nil {
			t.Fatal(err)
		}
		after, err := hashModel(dir)
		if err != nil || after == before {
			t.Errorf("%s is not in the key (%v)", name, err)
		}
		before = after
	}
}
