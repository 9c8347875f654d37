package transfer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/disk/powercut"
)

// A worker that dies at its n-th call is followed by another machine, which goes on from the newest commit.
func TestAWorkerKilledAtAnyCallIsFollowedByAnother(t *testing.T) {
	want := t.TempDir()
	ended(t, want)
	whole := 0
	for _, lost := range []string{"the call", "the answer"} {
		for n := int64(1); ; n++ {
			dir := t.TempDir()
			plainProject(t, dir)
			s := newServer(t, dir)
			var died atomic.Bool
			for attempt := 1; ; attempt++ {
				ctx, die := context.WithCancel(t.Context())
				c := &wire{server: s, run: "run1", attempt: attempt}
				if attempt == 1 {
					c.before = func(i int64, _ string, _ []byte) error {
						if i >= n {
							died.Store(true)
						}
						if i > n || i == n && lost == "the call" {
							die()
							return errBroken
						}
						return nil
					}
					c.after = func(_ string, _, reply []byte) ([]byte, error) {
						if died.Load() {
							die()
							return nil, errBroken
						}
						return reply, nil
					}
				}
				w := newWorker(t)
				err := func() error {
					if err := s.Begin(ctx, Job{Run: "run1", Attempt: attempt, Config: plain, Dir: dir}); err != nil {
						return err
					}
					p, err := w.Stage(ctx, c, "run1", nil)
					if err != nil {
						return err
					}
					return script(t, ctx, p)
				}()
				die()
				if err == nil {
					if !s.Complete("run1", attempt) {
						t.Errorf("killed at call %d: not complete", n)
					}
					break
				}
				if !died.Load() || attempt > 1 {
					t.Fatalf("killed at call %d, attempt %d: %v", n, attempt, err)
				}
				if n%2 == 0 { // the server dies too
					s = newServer(t, dir)
				}
			}
			same(t, filepath.Join(want, "work"), filepath.Join(dir, "work"))
			if t.Failed() {
				t.Fatalf("killed at call %d (%s lost)", n, lost)
			}
			if !died.Load() {
				whole++
				t.Logf("%d calls, each lost once (%s)", n-1, lost)
				break
			}
		}
	}
	if whole != 2 {
		t.Error("a job was never done without a death")
	}
}

func TestALinkThatBreaksAtEveryOtherCallDelaysAndLosesNothing(t *testing.T) {
	b := begin(t)
	b.wire.before = func(i int64, _ string, _ []byte) error {
		if i%2 == 0 {
			return experiments.Errorf(experiments.CodeUnavailable, "%w", errBroken)
		}
		return nil
	}
	answers := 0
	b.wire.after = func(_ string, _, reply []byte) ([]byte, error) {
		if answers++; answers%3 == 0 {
			return nil, errBroken // it was done, and nobody knows
		}
		return reply, nil
	}
	b.place.link.pause = time.Millisecond
	if err := script(t, t.Context(), b.place); err != nil {
		t.Fatal(err)
	}
	want := t.TempDir()
	ended(t, want)
	same(t, filepath.Join(want, "work"), filepath.Join(b.dir, "work"))
}

// What was acknowledged is there after a power cut: a commit's finished steps whole, its checkpoints, and its number.
func TestACommitThatWasAcknowledgedOutlivesAPowerCut(t *testing.T) {
	t.Run("a finished step", func(t *testing.T) {
		b := beginOf(t, 10)
		rec := powercut.Record(t, b.dir)
		finish(t, b.place.Dir, "convert", 1, map[string]string{"summary.json": "{}"})
		if err := b.place.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		rec.Mark("committed")
		rec.Check(t, func(cut powercut.Cut) error {
			at := folder(cut.Dir, "convert", 1)
			_, gone := os.Stat(filepath.Join(at, "step.json"))
			if gone != nil && cut.Marked("committed") {
				return errors.New("the finished step is gone")
			}
			if got, err := os.ReadFile(filepath.Join(at, "summary.json")); gone == nil && (err != nil || string(got) != "{}") {
				return fmt.Errorf("the step counts as finished and its summary is %q, %v", got, err)
			}
			if !cut.Marked("committed") {
				return nil
			}
			s, err := NewServer(ServerOptions{Dir: filepath.Join(cut.Dir, "data")})
			if err != nil {
				return err
			}
			if err := s.Begin(context.Background(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: cut.Dir}); err != nil {
				return err
			}
			if !s.Complete("run1", 1) {
				return errors.New("the last commit is forgotten")
			}
			return nil
		})
	})
	t.Run("a checkpoint", func(t *testing.T) {
		b := beginOf(t, 10)
		rec := powercut.Record(t, b.dir)
		write(t, filepath.Join(folder(b.place.Dir, "finetune", 2), "checkpoints", "checkpoint-1.ckpt"), "one")
		if err := b.place.Send(t.Context()); err != nil {
			t.Fatal(err)
		}
		rec.Mark("committed")
		rec.Check(t, func(cut powercut.Cut) error {
			one, err := os.ReadFile(filepath.Join(folder(cut.Dir, "finetune", 2), "checkpoints", "checkpoint-1.ckpt"))
			switch {
			case err == nil && string(one) != "one":
				return fmt.Errorf("the checkpoint is %q", one)
			case err != nil && cut.Marked("committed"):
				return errors.New("the checkpoint is gone")
			}
			return nil
		})
	})
}

func TestAFullDiskOnTheServerIsWaitedFor(t *testing.T) {
	b := begin(t)
	refused := 0
	stop := disk.Watch(b.dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpWrite && strings.Contains(op.Path, "incoming") && refused < 3 {
			refused++
			return syscall.ENOSPC
		}
		return do()
	})
	defer stop()
	b.place.link.pause = time.Millisecond
	if err := script(t, t.Context(), b.place); err != nil {
		t.Fatal(err)
	}
	want := t.TempDir()
	ended(t, want)
	same(t, filepath.Join(want, "work"), filepath.Join(b.dir, "work"))
	if refused != 3 {
		t.Errorf("%d writes were refused", refused)
	}
}

func TestAFullDiskOnTheWorkerIsAnErrorThatNamesTheFolder(t *testing.T) {
	dir := t.TempDir()
	plainProject(t, dir)
	s, w := newServer(t, dir), newWorker(t)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	stop := disk.Watch(w.dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpWrite {
			return syscall.ENOSPC
		}
		return do()
	})
	_, err := w.Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", nil)
	stop()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), w.cache.Dir()) {
		t.Errorf("%v", err)
	}
	if _, err := w.Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", nil); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}
