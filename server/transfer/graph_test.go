package transfer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	stepkinds "triality/experiments/kinds"
	"triality/experiments/pipeline"
	"triality/experiments/pipeline/metrictest"
)

// graphYAML compares two fine-tunings of one model; %[1]s is where its inputs lie, %[2]s where its results do.
const graphYAML = `# two ranks
name: ranks
output_dir: "%[2]s"
device: cpu
seed: 7
steps:
  - {name: base, kind: base, body: {base_model: "%[2]s/base", create: {shape: micro, text: "%[1]s/words.jsonl", vocab_size: 320, num_train_epochs: 0.5}, max_length: 64}}
  - {name: rows, kind: convert, body: {data: &data {input_path: "%[1]s/data set/four_*.jsonl", max_length: 96, val_ratio: 0.1, test_ratio: 0.2}, base_model: "${base.model}"}}
  - {name: r2, kind: finetune, body: {base_model: "${base.model}", dataset: "${rows.dataset}", training: {num_train_epochs: 1, per_device_train_batch_size: 8, lora_r: 2, save_steps: 2}}}
  - {name: r4, kind: finetune, body: {base_model: "${base.model}", dataset: "${rows.dataset}", training: {num_train_epochs: 1, per_device_train_batch_size: 8, lora_r: 4}}}
  - {name: ab, kind: abtest, body: {model_a: "${r2.model}", model_b: "${r4.model}", test_data: "${rows.dataset}", max_length: 96, test: {warmup: 1, bootstrap_resamples: 100, metrics: [{module: "%[1]s/m.wasm"}]}}}
  - {name: mine, kind: metric, body: {result: "${ab.result}", metric: {module: "%[1]s/m.wasm"}}}
  - {name: report, kind: report, body: {ab: "${ab.result}", data: "${rows.summary}"}}
`

func graphProject(t testing.TB, dir string) {
	t.Helper()
	project(t, dir)
	write(t, filepath.Join(dir, "words.jsonl"), rows(16))
}

// onWorker runs a job as attempt of another machine: what it gives lies in dir then.
func onWorker(t testing.TB, s *Server, w *Worker, dir, text string, attempt int) experiments.Run {
	t.Helper()
	ctx := context.Background()
	if err := s.Begin(ctx, Job{Run: "run1", Attempt: attempt, Config: text, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	p, err := w.Stage(ctx, &wire{server: s, run: "run1", attempt: attempt}, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan error, 1)
	go func() { watched <- p.Watch(watching, 10*time.Millisecond) }()
	run, err := runHere(t, ctx, p.Dir, p.Config, "run1", false)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-watched; err != nil {
		t.Error(err)
	}
	if err := p.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	return run
}

func TestAGraphOnAnotherMachineEndsWithTheBytesOfOneHere(t *testing.T) {
	want := t.TempDir()
	graphProject(t, want)
	text := fmt.Sprintf(graphYAML, ".", "work")
	if _, err := runHere(t, t.Context(), want, text, "run1", false); err != nil {
		t.Fatal(err)
	}
	notebook, err := asNotebook(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, text string }{{"a graph", text}, {"a notebook", notebook}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			graphProject(t, dir)
			s := newServer(t, dir)
			run := onWorker(t, s, newWorker(t), dir, tt.text, 1)
			same(t, filepath.Join(want, "work"), filepath.Join(dir, "work"))
			for _, st := range run.Steps {
				if _, err := os.Stat(filepath.Join(dir, s.Called("run1", st.Output), graph.MarkerName)); err != nil {
					t.Errorf("%s: %v", st.Title(), err)
				}
			}
		})
	}
}

// Looks are counted where the rows are: at the server, beside a result of the run's or what its configuration names, and
// nowhere else.
func TestATestSetOfAJobIsFoundOnTheServer(t *testing.T) {
	dir := t.TempDir()
	graphProject(t, dir)
	write(t, filepath.Join(dir, "own", "config.json"), "{}")
	text := fmt.Sprintf("output_dir: %s\nsteps:\n"+
		"  - {name: a, kind: abtest, body: {model_a: own, model_b: own, test_data: words.jsonl}}\n"+
		"  - {name: b, kind: abtest, body: {model_a: own, model_b: own, test_data: %s}}\n", filepath.Join(dir, "work"), filepath.Join(dir, "words.jsonl"))
	s := newServer(t, dir)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: text, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	p, err := newWorker(t).Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := pipeline.ParseSpec("config", []byte(p.Config))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range spec.Graph.Named() {
		if n.Key != "test_data" {
			continue
		}
		if at, err := s.TestSet("run1", 1, n.Text()); err != nil || at != filepath.Join(dir, "words.jsonl") {
			t.Errorf("%s is %s, %v", n.Text(), at, err)
		}
	}
	made := spec.OutputDir + "/convert/0123456789ab/dataset"
	if at, err := s.TestSet("run1", 1, made); err == nil {
		t.Errorf("what is not there is %s", at)
	}
	write(t, filepath.Join(dir, "work", "convert", "0123456789ab", "dataset", "dataset_dict.json"), "{}")
	write(t, filepath.Join(dir, "work", "convert", "0123456789ab", graph.MarkerName), `{"kind":"convert","key":"0123456789ab0","outputs":["dataset"]}`)
	if at, err := s.TestSet("run1", 1, made); err != nil || at != filepath.Join(dir, "work", "convert", "0123456789ab", "dataset") {
		t.Errorf("%s, %v", at, err)
	}
	for _, name := range []string{"../words.jsonl", "/etc/passwd", "own", "m.wasm", made + "/../../../../x", spec.OutputDir, "", "data set"} {
		if at, err := s.TestSet("run1", 1, name); err == nil {
			t.Errorf("%q is %s", name, at)
		}
	}
	if at, err := s.TestSet("run1", 2, "words.jsonl"); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("for another attempt %s, %v", at, err)
	}
}

// asNotebook writes a graph as a notebook of a cell to a step.
func asNotebook(text string) (string, error) {
	spec, err := pipeline.ParseSpec("graph", []byte(text))
	if err != nil {
		return "", err
	}
	var b strings.Builder
	settings, steps, _ := strings.Cut(text, "steps:\n")
	fmt.Fprintf(&b, "---\n%s---\n\n# Two ranks\n", strings.TrimPrefix(settings, "# two ranks\n"))
	for i, line := range strings.Split(strings.TrimSpace(steps), "\n") {
		_, body, _ := strings.Cut(line, "body: ")
		body = strings.TrimSuffix(strings.ReplaceAll(body, "&data ", ""), "}")
		s := spec.Graph.Steps[i]
		fmt.Fprintf(&b, "\n```triality %s id=%s\n%s\n```\n", s.Kind, s.Name, body)
	}
	return b.String(), nil
}

func TestAGraphsPathsThatLeadOutOfItsFolderLieOutside(t *testing.T) {
	dir := t.TempDir()
	graphProject(t, dir)
	at := filepath.Join(dir, "elsewhere")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(graphYAML, dir, "../work")
	s := newServer(t, dir)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: text, Dir: at}); err != nil {
		t.Fatal(err)
	}
	p, err := newWorker(t).Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(p.Config, dir) || strings.Contains(p.Config, "..") {
		t.Errorf("paths of the server in the worker's text:\n%s", p.Config)
	}
	var before, after pipeline.Spec
	if before, err = pipeline.ParseSpec("a", []byte(text)); err == nil {
		after, err = pipeline.ParseSpec("b", []byte(p.Config))
	}
	if err != nil {
		t.Fatal(err)
	}
	was, is := before.Params(), after.Params()
	for key, value := range was {
		if is[key] != value && !strings.Contains(value, dir) && !strings.Contains(value, "..") {
			t.Errorf("%s was %q and is %q", key, value, is[key])
		}
	}
	if len(was) != len(is) {
		t.Errorf("%d keys differ from their defaults, then %d", len(was), len(is))
	}
	run, err := runHere(t, t.Context(), p.Dir, p.Config, "run1", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, st := range run.Steps {
		if folder := s.Called("run1", st.Output); !strings.HasPrefix(folder, filepath.Join(dir, "work")) {
			t.Errorf("%s is called %s", st.Output, folder)
		} else if _, err := os.Stat(filepath.Join(folder, graph.MarkerName)); err != nil {
			t.Errorf("the step's folder: %v", err)
		}
	}
}

// Every type that an input may be, and every key with a path, of a graph that names what is there.
const namingYAML = `
output_dir: out
steps:
  - {name: rows, kind: convert, body: {data: {input_path: in}, base_model: org/name}}
  - {name: base, kind: base, body: {base_model: made/one, create: {shape: micro, text: words.txt}}}
  - {name: tuned, kind: finetune, body: {base_model: own, dataset: set}}
  - {name: merged, kind: merge, body: {base_model: own, adapter: peft}}
  - {name: ab, kind: abtest, body: {model_a: own, model_b: own, test_data: in/a.jsonl, train_data: set, test: {test_data_path: in/a.jsonl, metrics: [{module: m.wasm}, {module: %[1]s}]}}}
  - {name: mine, kind: metric, body: {result: results/one, other: results/two.json, metric: {module: m.wasm}}}
  - {name: report, kind: report, body: {ab: results/one, data: table.json, training: own, replacement: own}}
`

func TestWhatAGraphNamesLiesOnTheWorkerAsOnTheServer(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		"in/four_class_a.jsonl": rows(6), "in/a.jsonl": rows(4), "in/notes.txt": "no part of it", "words.txt": "words",
		"set/dataset_dict.json": "{}", "set/test/data-00000-of-00001.arrow": "arrow", "set/train/data-00000-of-00001.arrow": "arrow", "set/notes.txt": "no part of it",
		"own/config.json": "{}", "own/model.safetensors": "w", "own/replacement.json": "{}", "own/pytorch_model.bin": "no part of it",
		"peft/adapter_config.json": "{}", "peft/adapter_model.safetensors": "w", "peft/README.md": "no part of it",
		"results/one/results.json": "{}", "results/one/report.html": "no part of it", "results/two.json": "{}", "table.json": "{}",
		"m.wasm": string(metrictest.Good("m", 1)),
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	for name, text := range map[string]string{"config.json": "{}", "model.safetensors": "weights", "tokenizer.json": "{}"} {
		write(t, filepath.Join(cache, "models--org--name", "snapshots", commit, name), text)
	}
	write(t, filepath.Join(cache, "models--org--name", "refs", "main"), commit)
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("HF_HUB_CACHE", cache)
	text := fmt.Sprintf(namingYAML, strings.Repeat("ab", 32))
	s := newServer(t, dir)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: text, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	t.Setenv("HF_HUB_CACHE", other)
	p, err := newWorker(t).Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(other, "models--org--name", "snapshots", commit, "model.safetensors")) != "weights" {
		t.Error("the model of the Hub did not come")
	}
	if name := "org/name@" + commit; !strings.Contains(p.Config, name) || s.Called("run1", name) != "org/name" {
		t.Errorf("the commit is not named, or not known by its name here (%s):\n%s", s.Called("run1", name), p.Config)
	}
	want := []string{
		"in/a.jsonl", "in/four_class_a.jsonl", "m.wasm", "own/config.json", "own/model.safetensors", "own/replacement.json",
		"peft/adapter_config.json", "peft/adapter_model.safetensors", "results/one/results.json", "results/two.json",
		"set/dataset_dict.json", "set/test/data-00000-of-00001.arrow", "set/train/data-00000-of-00001.arrow", "table.json", "words.txt",
	}
	var got []string
	for name := range filesBelow(t, p.Dir) {
		got = append(got, name)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("there are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What an earlier attempt found is kept, where the server's cache has nothing.
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 2, Config: text, Dir: dir, Commits: map[string]string{"org/name": commit}}); err != nil {
		t.Fatal(err)
	}
	if p, err = newWorker(t).Stage(t.Context(), &wire{server: s, run: "run1", attempt: 2}, "run1", nil); err != nil || !strings.Contains(p.Config, "org/name@"+commit) {
		t.Errorf("%v", err)
	}
}

func TestWhatAGraphNamesAndIsNotThereIsSaidWithItsStepAndKey(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "own", "config.json"), "{}")
	for _, tt := range []struct{ step, want string }{
		{"{name: rows, kind: convert, body: {data: {input_path: none.jsonl}}}", "config:2: rows: data.input_path: "},
		{"{name: m, kind: merge, body: {base_model: own, adapter: none}}", "config:2: m: adapter: "},
		{"{name: m, kind: merge, body: {base_model: ./no/such/folder, adapter: none}}", "config:2: m: base_model: "},
		{"{name: r, kind: report, body: {ab: none.json}}", "config:2: r: ab: "},
		{"{name: r, kind: report, body: {ab: /dev/zero}}", "config:2: r: ab: "},
		{"{name: x, kind: metric, body: {result: own/config.json, metric: {module: none.wasm}}}", "config:2: x: metric.module: "},
	} {
		err := newServer(t, dir).Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: "steps:\n  - " + tt.step + "\n", Dir: dir})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || experiments.CodeOf(err) == experiments.CodeInternal {
			t.Errorf("%s: %v", tt.step, err)
		}
	}
}

// Whoever adds a kind whose body names a file or folder has to say by the field's type or its path tag how it reaches a
// worker: a field that only its help calls a file would be read here and not there.
func TestEveryPathOfABodyIsTagged(t *testing.T) {
	var walk func(of reflect.Type, at string)
	walk = func(of reflect.Type, at string) {
		for i := range of.NumField() {
			f := of.Field(i)
			key := at + f.Tag.Get("yaml")
			field := f.Type
			if field.Kind() == reflect.Slice {
				field = field.Elem()
			}
			doc := strings.ToLower(f.Tag.Get("doc"))
			speaks := strings.Contains(doc, "folder") || strings.Contains(doc, "file") || strings.Contains(doc, "path")
			switch {
			case f.Tag.Get("yaml") == "-" || field == reflect.TypeFor[graph.Input]() || f.Tag.Get("path") != "":
			case field.Kind() == reflect.Struct:
				walk(field, key+".")
			case field.Kind() == reflect.String && speaks && f.Tag.Get("yaml") != "name": // a name says what it is filed under
				t.Errorf("%s names a path, and has neither a path tag nor the type of an input", key)
			}
		}
	}
	for _, k := range stepkinds.All(nil) {
		walk(reflect.TypeOf(k.Body()).Elem(), k.Name+": ")
	}
}

// A type that inputs take and that is not sent must be refused by name, and none is today.
func TestEveryTypeThatInputsTakeIsSent(t *testing.T) {
	sent := []graph.Type{graph.Model, graph.Dataset, graph.Adapter, graph.ABResult, graph.Table}
	for _, k := range stepkinds.All(nil) {
		body := reflect.TypeOf(k.Body()).Elem()
		for i := range body.NumField() {
			takes := strings.Split(body.Field(i).Tag.Get("takes"), ",")
			for _, name := range takes {
				if name == string(graph.Series) && slices.Contains(takes, string(graph.Table)) {
					continue // a series is a step's alone: what such a key names by a path is a table
				}
				if name != "" && !slices.Contains(sent, graph.Type(name)) {
					t.Errorf("%s: %s takes a %s, which named by a path is not sent", k.Name, body.Field(i).Tag.Get("yaml"), name)
				}
			}
		}
	}
}
