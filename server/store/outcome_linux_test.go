package store

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"triality/experiments"
)

// TestFlushChild is the process whose flushes fail in the next test: two of a first commit work.
func TestFlushChild(t *testing.T) {
	dir := os.Getenv("TRIALITY_FLUSH_CHILD")
	if dir == "" {
		t.Skip("only as the child of TestAFailedFlushSaysWhatIsKnown")
	}
	// strace counts by thread: what opening flushes must not be on the thread that the writer gets.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var log bytes.Buffer
	s := open(t, dir, Options{pinWriter: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	put := func(step int64, key string) error {
		c := WithRequest(ctx, &Request{Key: key, Of: "POST /m"})
		return s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: step, Time: 1, Value: 1}}})
	}
	say := func(what string, err error) { fmt.Printf("%s: %s: %v\n", what, experiments.CodeOf(err), err) }
	if err := put(1, "first"); err != nil {
		t.Fatal(err)
	}
	if err := s.Health(ctx); err != nil {
		t.Fatal(err)
	}
	say("second", put(2, "second"))
	say("third", put(3, "third")) // the flush would work again
	say("health", s.Health(ctx))
	fmt.Println("stored:", len(points(t, s, "r", "m")))
	fmt.Println("logged:", strings.Count(log.String(), "level=ERROR"))
}

func TestAFailedFlushSaysWhatIsKnown(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed; it makes one flush fail")
	}
	tests := map[string]struct {
		flush  int
		code   experiments.Code
		stored int // by the second write, as long as the process lives
	}{
		"before the commit is valid nothing of it is stored": {3, experiments.CodeUnavailable, 0},
		"after that its outcome is unknown":                  {4, experiments.CodeUnknown, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir, Options{})
			e := experiment(t, s, "e")
			save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
			s.Close()

			cmd := exec.Command(strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=fdatasync", "-e", fmt.Sprintf("inject=fdatasync:error=EIO:when=%d", tt.flush),
				os.Args[0], "-test.run=^TestFlushChild$")
			cmd.Env = append(os.Environ(), "TRIALITY_FLUSH_CHILD="+dir)
			cmd.WaitDelay = 30 * time.Second
			out, err := cmd.CombinedOutput()
			if errors.Is(err, exec.ErrNotFound) || bytes.Contains(out, []byte("PTRACE")) || bytes.Contains(out, []byte("ptrace")) {
				t.Skipf("strace may not trace here: %s", out)
			}
			text := string(out)
			for _, want := range []string{
				fmt.Sprintf("second: %s: ", tt.code),
				"third: unavailable: ", "nothing more is written",
				"health: unavailable: ",
				fmt.Sprintf("stored: %d\n", 1+tt.stored), "logged: 1\n",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not said:\n%s", want, text)
				}
			}
			if says := strings.Contains(text, "nothing of this write was stored"); says != (tt.code == experiments.CodeUnavailable) {
				t.Errorf("that nothing was stored is said: %v\n%s", says, text)
			}

			// The client asks again, with the key and, having forgotten it, without.
			s = open(t, dir, Options{})
			for _, c := range []*Request{{Key: "second", Of: "POST /m"}, {Key: "second", Of: "POST /m"}, nil} {
				again := ctx
				if c != nil {
					again = WithRequest(ctx, c)
				}
				if err := s.LogMetrics(again, "r", experiments.MetricBatch{"m": {{Step: 2, Time: 1, Value: 1}}}); err != nil {
					t.Fatal(err)
				}
			}
			if got := points(t, s, "r", "m"); len(got) != 2 {
				t.Errorf("%d points, want 2: %v", len(got), got)
			}
			sound(t, s)
		})
	}
}
