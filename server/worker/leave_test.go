package worker

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"triality/runtime/uptime"
)

func TestAJobThatIsNotAllowedToGoOnIsCancelledWhenItsLeaseLapses(t *testing.T) {
	t.Parallel()
	const lease = 600 * time.Millisecond
	never := make(chan struct{})
	for name, ask := range map[string]func(n int) (time.Duration, error){
		"the parent does not answer": func(n int) (time.Duration, error) {
			if n > 2 {
				<-never
			}
			return lease, nil
		},
		"the parent cannot": func(n int) (time.Duration, error) {
			if n > 2 {
				return 0, errors.New("gone")
			}
			return lease, nil
		},
		"the parent says so": func(n int) (time.Duration, error) {
			if n > 2 {
				return -1, nil
			}
			return lease, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			asked, began := 0, uptime.Now()
			go keepLease(ctx, began+lease, func() (time.Duration, error) { asked++; return ask(asked) }, cancel)
			<-ctx.Done()
			if name != "the parent says so" && uptime.Now()-began < lease {
				t.Errorf("cancelled after %v, before the lease", uptime.Now()-began)
			}
		})
	}
}

func TestAJobWhoseLeaseIsProlongedGoesOn(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go keepLease(ctx, uptime.Now()+3*time.Second, func() (time.Duration, error) { return time.Minute, nil }, cancel)
	if !pause(ctx, 4*time.Second) {
		t.Error("it was cancelled")
	}
}

// What a lapsed lease ends is given back, and is no failure of the job: the parent may have the lease again by then.
func TestAJobThatItsLeaseEndsIsGivenBack(t *testing.T) {
	t.Parallel()
	for _, does := range []string{"wait", "deaf"} {
		t.Run(does, func(t *testing.T) {
			t.Parallel()
			p := Process{Grace: time.Second}
			var asked atomic.Bool
			began := uptime.Now()
			p.Left = func() time.Duration {
				if asked.Load() && uptime.Now()-began > time.Second {
					return -time.Second
				}
				asked.Store(true)
				return time.Minute
			}
			err := p.Run(context.Background(), Job{RunID: "r1", Config: does, Lock: filepath.Join(t.TempDir(), "lock")}, newNotes(), io.Discard)
			var lost *Lost
			if !errors.As(err, &lost) || !lost.Left {
				t.Errorf("%v", err)
			}
		})
	}
}
