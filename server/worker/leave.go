package worker

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"triality/runtime/uptime"
)

// askLease is how long a worker waits between two questions.
const askLease = 200 * time.Millisecond

// statusLapsed is the exit status of a worker that stopped since its lease had lapsed: its parent may hold it again.
const statusLapsed = 75

// keepLease cancels the job at end, by this machine's uptime, unless its parent prolongs it. A parent that is suspended
// answers nothing, and what asks it may hang with it.
func keepLease(ctx context.Context, end time.Duration, ask func() (left time.Duration, err error), cancel func()) {
	var ends atomic.Int64
	ends.Store(int64(end))
	go func() {
		for pause(ctx, askLease) {
			asked := uptime.Now()
			if left, err := ask(); err == nil {
				ends.Store(int64(asked + left))
			}
		}
	}()
	for pause(ctx, askLease/2) {
		if int64(uptime.Now()) > ends.Load() {
			cancel()
			say("the lease has lapsed, or the process that keeps it does not answer")
			return
		}
	}
}

// pause says whether ctx still holds after a while.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// leaveAfter ends the process when its job is to stop and does not: it may hang in a system call or a driver, or wait
// for a parent that is suspended.
func leaveAfter(ctx context.Context, grace time.Duration, status *atomic.Int64) {
	<-ctx.Done()
	time.Sleep(grace)
	say(fmt.Sprintf("the job did not stop within %v", grace))
	os.Exit(int(status.Load()))
}

// say puts a line into the log, or gives up: a suspended parent reads none.
func say(text string) {
	said := make(chan struct{})
	go func() {
		fmt.Fprintln(os.Stderr, "worker: "+text)
		close(said)
	}()
	select {
	case <-said:
	case <-time.After(time.Second):
	}
}
