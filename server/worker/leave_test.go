package worker

import (
	"context"
	"errors"
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
