package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline/metrictest"
)

// Whoever adds a key that names a file or folder has to say here how it reaches a worker.
func TestEveryPathOfTheConfigurationIsKnown(t *testing.T) {
	known := []string{"output_dir", "data.input_path", "model.base_model", "model.create.text", "test.test_data_path", "test.model_a_path", "test.model_b_path", "test.metrics[].module"}
	var found []string
	var walk func(at reflect.Type, prefix string)
	walk = func(at reflect.Type, prefix string) {
		for i := range at.NumField() {
			f := at.Field(i)
			key := prefix + f.Tag.Get("yaml")
			of := f.Type
			if of.Kind() == reflect.Slice {
				of, key = of.Elem(), key+"[]"
			}
			doc := f.Tag.Get("doc")
			switch {
			case of.Kind() == reflect.Struct:
				walk(of, key+".")
			case key == "name": // its help speaks of filing
			case of.Kind() == reflect.String && (strings.Contains(doc, "folder") || strings.Contains(doc, "file") || strings.Contains(doc, "path") || strings.Contains(key, "path") || strings.Contains(key, "dir")):
				found = append(found, key)
			}
		}
	}
	walk(reflect.TypeFor[config.Pipeline](), "")
	slices.Sort(found)
	slices.Sort(known)
	if !slices.Equal(found, known) {
		t.Errorf("the configuration has the paths\n%v, and\n%v are sent", found, known)
	}
}

func TestWhatIsNotThereIsNamedByItsKey(t *testing.T) {
	dir := t.TempDir()
	plainProjectOf(t, dir, 10)
	for _, tt := range []struct{ set, want string }{
		{"data: {input_path: none.jsonl}", "data.input_path: read rows: no file matches"},
		{"data: {input_path: model}", "data.input_path: read rows: no file matches"},
		{"model: {base_model: ./none/x/y}", "model.base_model: " + filepath.Join(dir, "none", "x", "y") + ": no such model folder"},
		{"test: {test_data_path: none}", "test.test_data_path: "},
		{"test: {model_a_path: none/x/y}", "test.model_a_path: "},
		{"test: {metrics: [{module: none.wasm}]}", "test.metrics[0].module: "},
		{"test: {metrics: [{module: model}]}", "test.metrics[0].module: "},
		{"data: {input_path: /dev/zero}", "data.input_path: "},
	} {
		text := "name: plain\noutput_dir: work\ndata: {input_path: rows.jsonl}\nmodel: {base_model: model}\n"
		key, _, _ := strings.Cut(tt.set, ":")
		var lines []string
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, key+":") {
				lines = append(lines, line)
			}
		}
		err := newServer(t, dir).Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: strings.Join(lines, "") + tt.set + "\n", Dir: dir})
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || experiments.CodeOf(err) == experiments.CodeInternal {
			t.Errorf("%s: %v", tt.set, err)
		}
	}
}

func TestPathsOutsideWhatTheServerAllowsAreNotSent(t *testing.T) {
	dir := t.TempDir()
	plainProjectOf(t, dir, 10)
	s, err := NewServer(ServerOptions{Dir: filepath.Join(dir, "data"), Allowed: func(path string) error {
		if strings.HasSuffix(path, "rows.jsonl") {
			return experiments.Errorf(experiments.CodeInvalid, "%s is not below the data root", path)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: dir})
	if experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), "below the data root") {
		t.Errorf("%v", err)
	}
}

// Every kind of input lies on the worker as on the server, so that keys, which are of names and content, are the same.
func TestInputsLieOnTheWorkerAsOnTheServer(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"in [1]/four_class_b.jsonl": rows(4), "in [1]/four_class_a.jsonl": rows(6), "in [1]/other.jsonl": "not one of them",
		"set/dataset_dict.json": "{}", "set/test/data-00000-of-00001.arrow": "arrow", "set/test/state.json": "{}", "set/test/dataset_info.json": "{}", "set/notes.txt": "no part of it",
		"own/config.json": "{}", "own/model.safetensors": "w", "own/additional_chat_templates/rag.jinja": "t", "own/replacement.json": "{}", "own/pytorch_model.bin": "no part of it",
		"m.wasm": string(metrictest.Good("m", 1)), "words.txt": "words",
	} {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
	}
	if err := os.Symlink("own", filepath.Join(dir, "linked")); err != nil {
		t.Skip("no links here: ", err)
	}
	text := fmt.Sprintf(`
output_dir: out/work
data: {input_path: "in [1]"}
model: {base_model: made, create: {shape: micro, text: words.txt}}
test: {test_data_path: set, model_a_path: ./own, model_b_path: linked, metrics: [{module: m.wasm}, {module: %s}]}
`, strings.Repeat("ab", 32))
	s := newServer(t, dir)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: text, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	p, err := newWorker(t).Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.Config != text {
		t.Errorf("the configuration changed:\n%s", p.Config)
	}
	want := []string{
		"in [1]/four_class_a.jsonl", "in [1]/four_class_b.jsonl", "linked/additional_chat_templates/rag.jinja", "linked/config.json", "linked/model.safetensors", "linked/replacement.json",
		"m.wasm", "own/additional_chat_templates/rag.jinja", "own/config.json", "own/model.safetensors", "own/replacement.json",
		"set/dataset_dict.json", "set/test/data-00000-of-00001.arrow", "set/test/dataset_info.json", "set/test/state.json", "words.txt",
	}
	var got []string
	for name := range filesBelow(t, p.Dir) {
		got = append(got, name)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("there are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const commit = "0123456789abcdef0123456789abcdef01234567"

func TestAModelOfTheHubComesFromTheServersCache(t *testing.T) {
	dir, cache, other := t.TempDir(), t.TempDir(), t.TempDir()
	plainProjectOf(t, dir, 10)
	at := filepath.Join("models--org--name", "snapshots", commit)
	for name, text := range map[string]string{"config.json": "{}", "model.safetensors": "tensors of a name", "tokenizer.json": "{}", "README.md": "no part of it"} {
		write(t, filepath.Join(cache, at, name), text)
	}
	write(t, filepath.Join(cache, "models--org--name", "refs", "main"), commit)
	t.Setenv("HF_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("HF_HUB_CACHE", cache)
	text := strings.Replace(plain, "base_model: model", "base_model: org/name", 1)
	s := newServer(t, dir)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: text, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HF_HUB_CACHE", other) // the other machine's
	c := &wire{server: s, run: "run1", attempt: 1}
	p, err := newWorker(t).Stage(t.Context(), c, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(p.Config, "org/name@"+commit) {
		t.Errorf("the commit is not named:\n%s", p.Config)
	}
	if got := read(t, filepath.Join(other, at, "model.safetensors")); got != "tensors of a name" {
		t.Errorf("%q", got)
	}
	if _, err := os.Stat(filepath.Join(other, at, "README.md")); err == nil {
		t.Error("what is no part of the model was sent")
	}
	// A second worker of that machine has it.
	asked := false
	c.after = func(method string, args, reply []byte) ([]byte, error) {
		asked = asked || method == methodRead && strings.Contains(string(reply), "tensors of a name")
		return reply, nil
	}
	if _, err := newWorker(t).Stage(t.Context(), c, "run1", nil); err != nil || asked {
		t.Errorf("fetched again (%v), %v", asked, err)
	}
	// What the server has not, the worker asks the Hub for, by the commit that an earlier attempt found.
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 2, Config: text, Dir: dir, Commits: map[string]string{"model.base_model": commit}}); err != nil {
		t.Fatal(err)
	}
	if p, err = newWorker(t).Stage(t.Context(), &wire{server: s, run: "run1", attempt: 2}, "run1", nil); err != nil || !strings.Contains(p.Config, "org/name@"+commit) {
		t.Errorf("%v", err)
	}
}
