package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"triality/experiments"
	"triality/server/worker"
)

// join lets a connection be a worker.
func join(c *nats.Conn, name string) error {
	var w welcome
	l := &link{conn: c, name: name, instance: "i", try: 5 * time.Second}
	if err := l.ask(context.Background(), verbJoin, joining{Instance: "i", Folder: "f", Info: testInfo}, &w); err != nil {
		return err
	}
	if w.Refused != "" {
		return errors.New(w.Refused)
	}
	return nil
}

// dialled gives a connection that is worker name by hand.
func dialled(t *testing.T, s *Server, data, name string) *link {
	t.Helper()
	with, err := Access{URL: s.Address(), Text: token(t, data, "")}.options(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := nats.Connect(s.Address(), with...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := join(c, name); err != nil {
		t.Fatal(err)
	}
	return &link{conn: c, name: name, instance: "i", try: 5 * time.Second}
}

func TestLateCallsOfAnAttemptAreRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	l := dialled(t, s, data, "one")
	tracker := &notes{}
	run := func(attempt int) chan error {
		end, p := make(chan error, 1), room(t, s)
		go func() {
			end <- p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: attempt, Dir: t.TempDir()}, tracker, &buffer{})
			p.Leave()
		}()
		eventually(t, "it is handed out", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.attempts["r1"] != nil
		})
		return end
	}
	lines := map[int]*line{}
	for attempt := range 4 {
		lines[attempt] = &line{link: l, ref: ref{"r1", attempt}}
	}
	save := func(attempt int) error {
		return worker.NewTracker(lines[attempt].call).SaveRun(context.Background(), experiments.Run{ID: "r1", Status: experiments.Running})
	}
	first := run(1)
	if err := save(1); err != nil {
		t.Fatal(err)
	}
	var lost *worker.Lost
	if err := <-first; !errors.As(err, &lost) || lost.Left { // nobody renews
		t.Fatal(err)
	}
	if err := join(l.conn, "one"); err != nil { // its lease had lapsed
		t.Fatal(err)
	}
	second := run(2)
	for attempt, want := range map[int]bool{1: true, 2: false, 3: true} {
		if err := save(attempt); errors.Is(err, worker.ErrFenced) != want {
			t.Errorf("attempt %d: %v", attempt, err)
		}
	}
	if got := tracker.said(); len(got) != 2 {
		t.Errorf("recorded %q", got)
	}
	if _, err := lines[2].call(context.Background(), methodEnd, encode(ending{})); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	if err := save(2); !errors.Is(err, worker.ErrFenced) {
		t.Errorf("after its end: %v", err)
	}
}

func TestACallThatIsSaidTwiceIsDoneOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	l := dialled(t, s, data, "one")
	tracker, log := &notes{}, &buffer{}
	p := room(t, s)
	go p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Dir: t.TempDir()}, tracker, log)
	eventually(t, "it is handed out", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.attempts["r1"] != nil
	})
	n := &line{link: l, ref: ref{"r1", 1}}
	points := worker.NewTracker(func(ctx context.Context, method string, args []byte) ([]byte, error) {
		id := n.begin()
		var answer []byte
		var err error
		for range 3 { // as if the answers were lost
			answer, err = n.say(ctx, id, method, parted(args))
		}
		n.ended(id)
		return answer, err
	})
	for i := range 3 {
		if err := points.LogMetrics(context.Background(), "r1", experiments.MetricBatch{"loss": {{Step: int64(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	// What was answered comes once more, late.
	if _, _, err := n.part(context.Background(), head{ID: 1, Method: "LogMetrics", Parts: 1}, nil); err != nil {
		t.Error(err)
	}
	if got := tracker.said(); !slices.Equal(got, []string{"point 0", "point 1", "point 2"}) {
		t.Errorf("recorded %q", got)
	}
	say := func(at int64, text string) {
		args := append(binary.LittleEndian.AppendUint64(nil, uint64(at)), text...)
		if _, err := n.call(context.Background(), methodLog, args); err != nil {
			t.Fatal(err)
		}
	}
	say(0, "one two ")
	say(0, "one two ")
	say(4, "two three ")
	say(8, "three ")
	if log.String() != "one two three " {
		t.Errorf("log %q", log.String())
	}
}

// The worker stops a job before the server gives it away, whatever it does.
func TestAWorkerThatLosesTheServerStopsItsJobInTime(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	w := agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	at := filepath.Join(t.TempDir(), "at")
	p := room(t, s)
	end := make(chan time.Time, 1)
	go func() {
		err := p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "deaf " + at, Dir: t.TempDir()}, &notes{}, &buffer{})
		var lost *worker.Lost
		if !errors.As(err, &lost) {
			t.Error(err)
		}
		end <- time.Now()
	}()
	eventually(t, "it is at work", func() bool { text, _ := os.ReadFile(at); return len(text) > 0 })
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	// The server is deaf: it hears of no renewal, and answers none.
	for _, sub := range s.subs {
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
	var stopped time.Time
	eventually(t, "the job is gone", func() bool {
		stopped = time.Now()
		_, err := os.Stat("/proc/" + string(text))
		return runtime.GOOS != "linux" || err != nil
	})
	if given := <-end; !given.After(stopped) {
		t.Errorf("given away %v before it was stopped", stopped.Sub(given))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) > 0 {
		eventually(t, "nothing is held", func() bool { w.mu.Unlock(); time.Sleep(time.Millisecond); w.mu.Lock(); return len(w.held) == 0 })
	}
}
