package fleet

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/server/worker"
)

func TestAJobRunsOnAWorker(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	p := room(t, s)
	tracker, log := &notes{}, &buffer{}
	if err := p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "record", Dir: t.TempDir()}, tracker, log); err != nil {
		t.Fatal(err, log.String())
	}
	want, lines := []string{}, "on worker one\n"
	for i := range 40 {
		want, lines = append(want, fmt.Sprintf("point %d", i)), lines+fmt.Sprintf("line %d\n", i)
	}
	want = append(want, "artifact adapter.bin of 1600000 bytes", "save finished")
	if got := tracker.said(); !slices.Equal(got, want) {
		t.Errorf("recorded %q", got)
	}
	if log.String() != lines {
		t.Errorf("log:\n%s", log.String())
	}
}

func TestAJobsOwnErrorAndItsProcesssDeathArrive(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	err := room(t, s).Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "fail", Dir: t.TempDir()}, &notes{}, &buffer{})
	if experiments.CodeOf(err) != experiments.CodeInvalid || err.Error() != "rows.jsonl:3: no label" {
		t.Errorf("%v", err)
	}
	var death *worker.Death
	err = room(t, s).Run(context.Background(), worker.Job{RunID: "r2", Attempt: 1, Config: "die", Dir: t.TempDir()}, &notes{}, &buffer{})
	if !errors.As(err, &death) || death.Cause != "exit status 7" {
		t.Errorf("%v", err)
	}
}

func TestJobsOfAWorkerHaveACardEach(t *testing.T) {
	t.Parallel()
	info := testInfo
	info.Cards = []Card{{Name: "a"}, {Name: "b"}}
	a, err := NewAgent(AgentOptions{Name: "one", Info: info})
	if err != nil {
		t.Fatal(err)
	}
	first, release, _ := a.card(0)
	second, _, _ := a.card(0)
	release()
	third, _, ok := a.card(0)
	if first == second || third != first || !ok {
		t.Errorf("cards %d, %d and, when the first is free again, %d", first, second, third)
	}
	a.opts.Info.Cards = []Card{{Name: "small", Memory: 10}, {Name: "big", Memory: 20}}
	for range 3 {
		if card, _, _ := a.card(15); card != 1 {
			t.Errorf("a job that needs the big card has card %d", card)
		}
	}
	a.opts.Info.Cards = nil
	if _, _, ok := a.card(0); ok {
		t.Error("a card on a machine without")
	}
}

func TestCancellingReachesAWorker(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	ctx, cancel := context.WithCancel(context.Background())
	at := filepath.Join(t.TempDir(), "at")
	tracker := &notes{}
	end := make(chan error, 1)
	p := room(t, s)
	go func() {
		end <- p.Run(ctx, worker.Job{RunID: "r1", Attempt: 1, Config: "wait " + at, Dir: t.TempDir()}, tracker, &buffer{})
	}()
	eventually(t, "it is at work", func() bool { return len(tracker.said()) == 1 })
	cancel()
	if err := <-end; err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("%v", err)
	}
	if got := tracker.said(); !slices.Equal(got, []string{"save running", "save interrupted"}) {
		t.Errorf("recorded %q", got)
	}
}
