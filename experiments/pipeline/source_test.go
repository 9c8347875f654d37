package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/hub"
	"triality/runtime/hub/hubtest"
)

// inHub puts a model folder into a hub's repository and points an engine at it.
func inHub(t *testing.T, e *Engine, repo, dir string) (*hubtest.Server, string) {
	t.Helper()
	server := hubtest.New()
	t.Cleanup(server.Close)
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if files[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	e.Hub = &hub.Options{Endpoint: server.URL, CacheDir: filepath.Join(t.TempDir(), "hub")}
	return server, server.Put(repo, "main", files)
}

// said collects what a watcher or a teller hears.
type said struct {
	notes []string
	bytes int
}

func (s *said) Step(experiments.Step) {}
func (s *said) Progress(_ string, p experiments.Progress) {
	if p.Unit == "kB" {
		s.bytes++
	}
}
func (s *said) Note(_ string, text string) { s.notes = append(s.notes, text) }

func TestARunTakesItsBaseModelFromTheHub(t *testing.T) {
	dir, r, tracker := afterOneRun(t)
	const repo = "org/base"
	server, commit := inHub(t, r.Engine, repo, firstBase(t, dir))
	heard := &said{}
	r.Watcher = heard
	set := []string{"model.base_model=" + repo, "model.create.shape="}
	run, _, err := r.Run(context.Background(), smallConfig(t, dir, set...), RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := statuses(run), "convert finished, finetune finished, replace finished, abtest finished, report finished"; got != want {
		t.Errorf("steps: %s", got)
	}
	stored := tracker.runs[run.ID]
	if stored.Params["model.base_model"] != repo || stored.Params["model.base_model.commit"] != commit {
		t.Errorf("parameters %v", stored.Params)
	}
	result, err := ReadABResult(run.Steps[3].Output)
	if err != nil || result.Arms[0].Model != repo+"@"+commit {
		t.Errorf("model A is %q, %v", result.Arms[0].Model, err)
	}
	adapter, err := os.ReadFile(filepath.Join(run.Steps[1].Output, "adapter", "adapter_config.json"))
	if err != nil || !strings.Contains(string(adapter), `"base_model_name_or_path": "org/base"`) {
		t.Errorf("%v: %s", err, adapter)
	}
	if heard.bytes == 0 || !strings.Contains(strings.Join(heard.notes, "\n"), repo+"@main is commit "+commit) {
		t.Errorf("%d progress calls, notes %q", heard.bytes, heard.notes)
	}

	t.Run("the same again is up to date, by its commit too and with the endpoint gone", func(t *testing.T) {
		again, upToDate, err := r.Run(context.Background(), smallConfig(t, dir, set...), RunOptions{})
		if err != nil || !upToDate || again.ID != run.ID {
			t.Errorf("%v, %v", upToDate, err)
		}
		r.Engine.Hub.Offline = true
		defer func() { r.Engine.Hub.Offline = false }()
		again, _, err = r.Run(context.Background(), smallConfig(t, dir, "model.base_model="+repo+"@"+commit, "model.create.shape="), RunOptions{RunID: "pinned"})
		if err != nil || strings.Contains(statuses(again), "finished") || again.Params["model.base_model.commit"] != commit {
			t.Errorf("%v: %s", err, statuses(again))
		}
	})
	t.Run("another commit reruns what depends on it", func(t *testing.T) {
		next := server.Put(repo, "main", map[string][]byte{"generation_config.json": []byte(`{}`)})
		again, _, err := r.Run(context.Background(), smallConfig(t, dir, set...), RunOptions{})
		if err != nil || !strings.HasPrefix(statuses(again), "convert finished, finetune finished") || again.Params["model.base_model.commit"] != next {
			t.Errorf("%v: %s", err, statuses(again))
		}
	})
}

func TestWhereAModelIsLookedFor(t *testing.T) {
	r, _ := newRunner(t)
	dir := t.TempDir()
	t.Chdir(dir)
	if err := os.MkdirAll(filepath.Join("org", "here"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("org", "here", "config.json"), []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("org", "here", "tokenizer.json"), []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	server, commit := inHub(t, r.Engine, "org/there", filepath.Join("org", "here"))
	tell := planTeller{r, "", "base"}
	locate := func(name string) (Source, error) {
		return r.Engine.Locate(t.Context(), name, hub.TokenizerFiles, tell)
	}
	if s, err := locate("org/here"); err != nil || s != (Source{Name: "org/here", Dir: "org/here"}) {
		t.Errorf("a folder that is there wins: %+v, %v", s, err)
	}
	for _, name := range []string{"org/there", "org/there@main", "org/there@" + commit} {
		if s, err := locate(name); err != nil || s.Name != "org/there@"+commit || s.Repo != "org/there" || s.Commit != commit || !exists(filepath.Join(s.Dir, "tokenizer.json")) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if s, err := locate("/no/such/folder"); err != nil || s.Dir != "/no/such/folder" {
		t.Errorf("what cannot be a repository is a folder: %+v, %v", s, err)
	}
	server.Requests()
	for name, code := range map[string]experiments.Code{"org/none": experiments.CodeInvalid, "org/there@v9": experiments.CodeNotFound} {
		if _, err := locate(name); experiments.CodeOf(err) != code || !strings.Contains(err.Error(), "there is no folder "+name) {
			t.Errorf("%s: %v, code %s", name, err, experiments.CodeOf(err))
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := r.Engine.Locate(ended, "org/other", hub.ModelFiles, tell); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "goes on where it was cut") {
		t.Errorf("interrupted: %v", err)
	}
	r.Engine.Hub.Offline = true
	if _, err := locate("org/other"); experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
		t.Errorf("offline: %v", err)
	}
	writeRows(t, "rows.jsonl", 64)
	if _, _, err := r.Run(t.Context(), smallConfig(t, dir, "model.base_model=org/other", "model.create.shape="), RunOptions{}); err == nil || !strings.Contains(err.Error(), "model.base_model: there is no folder org/other") {
		t.Errorf("a run says which key names it: %v", err)
	}
}

func TestAModelThatIsMadeIsNotLookedFor(t *testing.T) {
	r, _ := newRunner(t)
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, commit := inHub(t, r.Engine, "org/there", dir)
	for shape, want := range map[string]string{"": "org/there@" + commit, "micro": "org/there"} {
		var cfg config.Pipeline
		cfg.Model.BaseModel, cfg.Model.Create.Shape, cfg.Test.ModelAPath = "org/there", shape, "org/there"
		cfg, found, err := r.locate(t.Context(), cfg, "")
		if err != nil || cfg.Model.BaseModel != want || cfg.Test.ModelAPath != "org/there@"+commit || cfg.Test.ModelBPath != "" {
			t.Errorf("shape %q: %q and %q, %v", shape, cfg.Model.BaseModel, cfg.Test.ModelAPath, err)
		}
		if _, ok := found["model.base_model"]; ok != (shape == "") || found["test.model_a_path"].Commit != commit {
			t.Errorf("shape %q: found %v", shape, found)
		}
	}
}

func TestWhatTheEnvironmentSaysWronglyOfTheHubIsAnError(t *testing.T) {
	r, _ := newRunner(t)
	t.Setenv("HF_HUB_OFFLINE", "1")
	t.Setenv("HF_TOKEN", "")
	t.Setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "")
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Setenv("HF_TOKEN_PATH", t.TempDir())
	if _, err := r.Engine.Locate(t.Context(), "org/name", hub.ModelFiles, silent{}); experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), "token file: ") {
		t.Errorf("a token file that is a folder: %v", err)
	}
	t.Setenv("HF_TOKEN_PATH", "")
	if _, err := r.Engine.Locate(t.Context(), "org/name", hub.ModelFiles, silent{}); err == nil || strings.Contains(err.Error(), "token file") {
		t.Errorf("nothing in the cache: %v", err)
	}
}
