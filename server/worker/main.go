package worker

import (
	"context"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"triality/experiments"
	"triality/runtime/filelock"
	"triality/runtime/uptime"
	"triality/runtime/wallclock"
)

// Work does a job and records it. It ends soon after ctx does, leaving what the next attempt goes on from.
type Work func(ctx context.Context, job Job, tracker experiments.Tracker) error

// Main is the worker's whole program; it gives the exit status. stdin and stdout lead to the parent.
func Main(stdin io.Reader, stdout io.WriteCloser, work Work) int {
	offerMemory()
	signalled, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithCancel(signalled)
	defer cancel()
	client := rpc.NewClient(&pipe{Reader: stdin, WriteCloser: stdout, broken: cancel})
	var job Job
	began := uptime.Now()
	if err := client.Call("Host.Job", None{}, &job); err != nil {
		fmt.Fprintln(os.Stderr, "worker: no job:", err)
		return 1
	}
	go func() {
		// The call ends when the job is to stop, and when the parent is gone.
		_ = client.Call("Host.Cancelled", None{}, &None{})
		cancel()
	}()
	var status atomic.Int64 // with which a job leaves that does not say how it ended
	status.Store(1)
	if job.Lease != 0 {
		go keepLease(ctx, began+job.Lease, func() (left time.Duration, err error) { return left, client.Call("Host.Left", None{}, &left) }, func() {
			status.Store(statusLapsed)
			cancel()
		})
	}
	go leaveAfter(ctx, job.Grace, &status)
	wallclock.Follow(job.Ahead)

	here := &remote{call: parent{client}.call}
	var tracker experiments.Tracker = here
	if job.Copies {
		tracker = counting{here}
	}
	err := attempt(ctx, job, tracker, work)
	if signalled.Err() != nil {
		fmt.Fprintln(os.Stderr, "worker: "+interrupted)
		return 1
	}
	if err != nil && status.Load() == statusLapsed { // its end is the lease's doing
		return statusLapsed
	}
	if call := client.Call("Host.Done", Result{failureOf(err)}, &None{}); call != nil {
		fmt.Fprintln(os.Stderr, "worker: the parent is gone:", call)
		return 1
	}
	return 0
}

// interrupted is what a worker says that a signal ended and not its parent: the job is to go on.
const interrupted = "interrupted by a signal"

// attempt does the job once the worker of the attempt before has let go of it.
func attempt(ctx context.Context, job Job, tracker experiments.Tracker, work Work) error {
	for told := false; ; {
		unlock, err := filelock.Try(job.Lock)
		if err != nil {
			return fmt.Errorf("lock %s: %w", job.Lock, err)
		}
		if unlock != nil {
			defer unlock()
			return work(ctx, job, tracker)
		}
		if !told {
			fmt.Fprintln(os.Stderr, "worker: waiting for the worker of the attempt before to end")
			told = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// pipe is the way to the parent; broken is called when nothing more can come from it.
type pipe struct {
	io.Reader
	io.WriteCloser
	broken func()
}

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if err != nil {
		p.broken()
	}
	return n, err
}
