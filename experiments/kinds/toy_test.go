package kinds

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
)

// toyBody and toy are all that a kind is: what stands here would be its folder, and its line in the list of All.
type toyBody struct {
	Of   graph.Input `yaml:"of" takes:"table" optional:"true" doc:"a table"`
	Word string      `yaml:"word" choice:"a,b" doc:"a word"`
	Most int         `yaml:"most" range:"1..9" doc:"a number"`
}

func toy() graph.Kind {
	return graph.Kind{
		Name: "toy", Cost: graph.Costly,
		Body:      func() any { return &toyBody{Word: "a", Most: 1} },
		Gives:     []graph.Output{{Name: "words", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: "words.txt", Path: "toy/words.txt", MediaType: "text/plain"}},
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			b := p.Body.(*toyBody)
			key, err := graph.Key("toy", b.Of.Key(), b.Word, b.Most)
			return graph.Outline{Key: key, Files: []string{"words.txt"}, Gives: map[string]string{"words": "words.txt"}}, err
		},
		Run: func(_ context.Context, w graph.Work) error {
			b := w.Body.(*toyBody)
			text := strings.Repeat(b.Word, b.Most)
			if b.Of.Path() != "" {
				before, err := os.ReadFile(b.Of.Path())
				if err != nil {
					return err
				}
				text = string(before) + text
			}
			return os.WriteFile(w.File("words.txt"), []byte(text), 0o644)
		},
	}
}

// heard is a recorder, a sink and a teller that keeps what happens to steps.
type heard struct {
	mu    sync.Mutex // steps that run side by side are told side by side
	lines []string
}

func (h *heard) add(line string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = append(h.lines, line)
}

func (h *heard) Begin(_ context.Context, s *graph.Planned, _ time.Time) (graph.Sink, error) {
	h.add("begin " + s.Name)
	return h, nil
}
func (h *heard) Keep(context.Context, *graph.Planned) error { return nil }
func (h *heard) Reuse(_ context.Context, s *graph.Planned, _ experiments.MetricBatch) error {
	h.add("reuse " + s.Name)
	return nil
}
func (h *heard) End(context.Context, *graph.Planned, time.Time, error, bool) error { return nil }
func (h *heard) Progress(experiments.Progress)                                     {}
func (h *heard) Metrics(experiments.MetricBatch) error                             { return nil }
func (h *heard) Note(string)                                                       {}

func TestAKindIsItsOwnPackageAndOneLineInTheList(t *testing.T) {
	list := append(All(nil), toy())
	const text = "steps:\n  - {name: one, kind: toy}\n  - {name: two, kind: toy, body: {of: \"${one.words}\", word: b, most: 3}}\n"
	g, err := graph.Parse("g.yaml", []byte(text), list)
	if err != nil {
		t.Fatal(err)
	}
	h, env := &heard{}, graph.Env{Dir: t.TempDir(), Device: "cpu"}
	env.Tell = func(*graph.Planned) graph.Teller { return h }
	run := func() *graph.Plan {
		t.Helper()
		p, err := g.Make(t.Context(), list, env)
		if err == nil {
			err = graph.Executor{}.Run(t.Context(), p, h)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := run()
	if text, err := os.ReadFile(p.Steps[1].Output("words")); err != nil || string(text) != "abbb" {
		t.Errorf("%q, %v", text, err)
	}
	run()
	if got := strings.Join(h.lines, ", "); got != "begin one, begin two, reuse one, reuse two" {
		t.Errorf("%s", got)
	}
	for body, want := range map[string]string{
		"{most: 10}": "g.yaml:2: most: must be at least 1 and at most 9, is 10", "{word: c}": `g.yaml:2: word: want a, b, have "c"`, "{wrod: a}": "g.yaml:2: wrod: unknown key; the nearest known key is word",
	} {
		if _, err := graph.Parse("g.yaml", []byte("steps:\n  - {name: one, kind: toy, body: "+body+"}"), list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

// Bodies are held to the same ranges, choices and rules as a pipeline YAML.
func TestBodiesAreCheckedAtTheirLines(t *testing.T) {
	for body, want := range map[string]string{
		"{name: x, kind: finetune, body: {training: {\n  lora_r: 1000000000}}}":       "g.yaml:3: training.lora_r: must be at least 1 and at most 65536",
		"{name: x, kind: finetune, body: {training: {\n  lr_scheduler_type: cosin}}}": `g.yaml:3: training.lr_scheduler_type: want cosine, linear, constant, have "cosin"`,
		"{name: x, kind: finetune, body: {training: {fp16: true,\n bf16: true}}}":     "training.fp16, bf16: are both true",
		"{name: x, kind: finetune, body: {\n\n  max_length: -1}}":                     "g.yaml:4: max_length: must be at least 16",
		"{name: x, kind: convert, body: {data: {max_length: 99}}}":                    "data.input_path: is needed",
		"{name: x, kind: convert, body: {data: {input_path: a, format_type: b}}}":     "data.format_type: want instruction, chat, completion",
		"{name: x, kind: abtest, body: {format_type: b}}":                             "format_type: want instruction, chat, completion",
		"{name: x, kind: abtest, body: {numbers: {\n  llm_int8_threshold: -1}}}":      "g.yaml:3: numbers.llm_int8_threshold: must be at least 0",
		"{name: x, kind: export, body: {type: q4_0}}":                                 "type: want f16, q8_0, f32",
		"{name: x, kind: metric, body: {metric: {slices: [a, a]}}}":                   "metric.module: is needed",
		"{name: x, kind: metric, body: {arm: C, metric: {module: m}}}":                "arm: want A, B",
		"{name: x, kind: merge, body: {bas_model: b}}":                                "bas_model: unknown key; the nearest known key is base_model",
		"{name: x, kind: burnin}":                                                     `there is no kind "burnin"; the nearest is burn-in`,
	} {
		_, err := graph.Parse("g.yaml", []byte("steps:\n- "+body), All(nil))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
	for top, want := range map[string]string{
		"devices: 65\n": "g.yaml:1: devices: must be at least 0 and at most 64", "device: gpu\n": "g.yaml:1: device: want auto, cpu, cuda", "name: ''\n": "name: must not be empty",
		"outptu_dir: x\n": "g.yaml:1: outptu_dir: unknown key; the nearest known key is output_dir",
	} {
		_, err := graph.Parse("g.yaml", []byte(top+"steps: [{name: x, kind: export}]"), All(nil))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", top, err, want)
		}
	}
}

func TestOneStepIsReadFromABodyOfItsOwn(t *testing.T) {
	s, err := graph.ParseStep("book.md", 11, "tuned", "finetune", []byte("base_model: ${small.model}\ntraining: {lora_r: 3}\n"), 9, All(nil), nil)
	if err != nil || s.Name != "tuned" || s.Kind != "finetune" {
		t.Fatalf("%+v, %v", s, err)
	}
	g := graph.Graph{File: "book.md", Steps: []graph.Step{s}}
	if _, err := g.Make(t.Context(), All(nil), graph.Env{}); err == nil || !strings.Contains(err.Error(), "book.md:12: tuned: base_model: ${small.model}: there is no step small") {
		t.Errorf("%v", err)
	}
	if _, err := graph.ParseStep("book.md", 11, "tuned", "finetune", []byte("training:\n  lora_rr: 3\n"), 9, All(nil), nil); err == nil || !strings.Contains(err.Error(), "book.md:13: training.lora_rr: unknown key; the nearest known key is training.lora_r") {
		t.Errorf("%v", err)
	}
}
