package transfer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// local is a folder in which the small pipeline has run without another machine.
func local(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	project(t, dir)
	if _, err := runHere(t, context.Background(), dir, smallConfig(), "run1", false); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAJobOnAnotherMachineEndsWithTheBytesOfOneHere(t *testing.T) {
	want := local(t)
	dir := t.TempDir()
	project(t, dir)
	s, w := newServer(t, dir), newWorker(t)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: smallConfig(), Dir: dir}); err != nil {
		t.Fatal(err)
	}
	var told Progress
	p, err := w.Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", func(p Progress) { told = p })
	if err != nil {
		t.Fatal(err)
	}
	if told.Done != told.Total || told.Total == 0 {
		t.Errorf("the fetching told %+v last", told)
	}
	ctx, stop := context.WithCancel(t.Context())
	watched := make(chan error, 1)
	go func() { watched <- p.Watch(ctx, 10*time.Millisecond) }()
	run, err := runHere(t, t.Context(), p.Dir, p.Config, "run1", false)
	if err != nil {
		t.Fatal(err)
	}
	if s.Complete("run1", 1) {
		t.Error("complete before the last commit")
	}
	stop()
	if err := <-watched; err != nil {
		t.Error(err)
	}
	if err := p.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.Complete("run1", 1) {
		t.Error("not complete after the last commit")
	}
	same(t, filepath.Join(want, "work"), filepath.Join(dir, "work"))
	for _, st := range run.Steps {
		if _, err := os.Stat(filepath.Join(dir, s.Called("run1", st.Output), "step.json")); err != nil {
			t.Errorf("the step's folder: %v", err)
		}
	}
	if err := p.Remove(); err != nil {
		t.Error(err)
	}
	if err := s.Forget(t.Context(), "run1"); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "data", "transfer", "run*")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAbsolutePathsAndThoseThatLeadUpLieOutside(t *testing.T) {
	want := local(t)
	dir := t.TempDir()
	project(t, dir)
	at := filepath.Join(dir, "elsewhere")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(smallYAML, filepath.Join(dir, "work"), "../data set/four_*.jsonl", "../work/base", filepath.Join(dir, "m.wasm"))
	s, w := newServer(t, dir), newWorker(t)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: text, Dir: at}); err != nil {
		t.Fatal(err)
	}
	p, err := w.Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	run, err := runHere(t, t.Context(), p.Dir, p.Config, "run1", false)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, st := range run.Steps {
		if at := s.Called("run1", st.Output); !strings.HasPrefix(at, dir) {
			t.Errorf("%s is called %s", st.Output, at)
		} else if _, err := os.Stat(filepath.Join(at, "step.json")); err != nil {
			t.Errorf("the step's folder: %v", err)
		}
	}
	a, b := filesBelow(t, filepath.Join(want, "work")), filesBelow(t, filepath.Join(dir, "work"))
	for name, text := range a {
		if strings.HasSuffix(name, ".safetensors") && b[name] != text {
			t.Errorf("%s has other bytes", name)
		}
	}
}
