package transfer

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A job that is cut in its training goes on from its newest checkpoint on a second machine, is cut there in a later step,
// ends on the server's own machine, and has the bytes of one that nothing happened to.
func TestAJobThatMovesBetweenMachinesEndsWithTheSameBytes(t *testing.T) {
	want := local(t)
	dir := t.TempDir()
	project(t, dir)
	s := newServer(t, dir)
	there := func(pattern string) bool {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Error(err)
		}
		return len(found) > 0
	}
	for attempt, until := range []string{"work/finetune/*/checkpoints/*.ckpt", "work/finetune/*/step.json"} {
		attempt++
		if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: attempt, Config: smallConfig(), Dir: dir}); err != nil {
			t.Fatal(err)
		}
		p, err := newWorker(t).Stage(t.Context(), &wire{server: s, run: "run1", attempt: attempt}, "run1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if attempt == 2 {
			if left, _ := filepath.Glob(filepath.Join(p.Dir, "work", "finetune", "*", "checkpoints", "*.ckpt")); len(left) == 0 {
				t.Error("the second machine has no checkpoint")
			}
			if left, _ := filepath.Glob(filepath.Join(p.Dir, "work", "base-*", "step.json")); len(left) == 0 {
				t.Error("the second machine has no base model")
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			for ctx.Err() == nil && !there(until) {
				time.Sleep(time.Millisecond)
			}
			stop()
		}()
		watched := make(chan error, 1)
		go func() { watched <- p.Watch(ctx, time.Millisecond) }()
		_, err = runHere(t, ctx, p.Dir, p.Config, "run1", attempt > 1)
		stop()
		if err == nil {
			t.Skip("the job was faster than its cut")
		}
		if err := <-watched; err != nil {
			t.Error(err)
		}
		if attempt == 1 { // its worker lives and leaves a checkpoint; the second one's does not
			if err := p.Send(t.Context()); err != nil {
				t.Error(err)
			}
		}
		s.End("run1", attempt)
	}
	run, err := runHere(t, t.Context(), dir, smallConfig(), "run1", true)
	if err != nil {
		t.Fatal(err)
	}
	reused := []string{}
	for _, st := range run.Steps {
		if st.Status == "reused" {
			reused = append(reused, string(st.Kind))
		}
	}
	if got := strings.Join(reused, " "); !strings.HasPrefix(got, "base convert finetune") {
		t.Errorf("taken over: %s", got)
	}
	same(t, filepath.Join(want, "work"), filepath.Join(dir, "work"))
	if left, err := os.ReadDir(filepath.Join(dir, "data", "transfer", "run1", "incoming")); err != nil || len(left) > 5 {
		t.Errorf("%v %v", left, err)
	}
}
