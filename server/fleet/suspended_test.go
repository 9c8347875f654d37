//go:build linux

package fleet

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"triality/server/worker"
)

// A worker that is suspended, and not its job, cannot stop it: the job stops by itself, before it is given away.
func TestAJobWhoseWorkerIsSuspendedStopsInTime(t *testing.T) {
	t.Parallel()
	for _, does := range []string{"wait", "deaf", "loud"} {
		t.Run(does, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			s := served(t, data)
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			agent := exec.Command(exe, "agent", s.Address(), token(t, data, ""), t.TempDir())
			if err := agent.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = agent.Process.Kill()
				_ = agent.Wait()
			}()
			at := filepath.Join(t.TempDir(), "at")
			p := room(t, s)
			end := make(chan time.Time, 1)
			go func() {
				err := p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: does + " " + at, Dir: t.TempDir()}, &notes{}, &buffer{})
				var lost *worker.Lost
				if !errors.As(err, &lost) {
					t.Error(err)
				}
				end <- time.Now()
			}()
			var pid []byte
			eventually(t, "it is at work", func() bool { pid, _ = os.ReadFile(at); return len(pid) > 0 })
			if err := agent.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			var stopped time.Time
			eventually(t, "the job is gone", func() bool {
				stopped = time.Now()
				return over(string(pid))
			})
			if given := <-end; !given.After(stopped) {
				t.Errorf("given away %v before it was stopped", stopped.Sub(given))
			}
		})
	}
}

// over says whether a process has ended; its parent, suspended, has not been told.
func over(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return true
	}
	for i := len(stat) - 1; i > 0; i-- {
		if stat[i] == ')' {
			return stat[i+2] == 'Z'
		}
	}
	return false
}
