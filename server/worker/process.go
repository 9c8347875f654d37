package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
	"time"

	"triality/experiments"
	"triality/runtime/memory"
)

// Process starts workers.
type Process struct {
	// Program and Args start a worker; empty: this program with Arg.
	Program string
	Args    []string
	// Memory is the most bytes that a worker may hold; 0: nine tenths of the machine's. Only Linux tells how
	// much that is.
	Memory int64
	// Root is a folder that a worker keeps to: it reads and writes below it alone; empty: as its user may.
	Root string
	// Shared is the store of results that workers share with others.
	Shared Shared
	// Grace is how long a cancelled job has to leave a checkpoint before its worker is killed; 0: 8 s. Nothing
	// is lost without one: the next attempt goes on from the checkpoint before it.
	Grace time.Duration
	// Left says for how long a worker may go on unless it is told otherwise; nil: for as long as this process lives. A
	// worker asks, and stops by itself when this process does not answer, as one does not that is suspended.
	Left func() time.Duration
}

// Death is the end of a worker that did not say how its job ended.
type Death struct {
	Cause  string // "killed by signal 9", "exit status 2", "out of memory": the same where it is the same
	Detail string // the end of its log
}

func (d *Death) Error() string {
	if d.Detail == "" {
		return "the worker died: " + d.Cause
	}
	lines := strings.Split(d.Detail, "\n")
	return "the worker died: " + d.Cause + "; its last words: " + strings.Join(lines[max(0, len(lines)-5):], " / ")
}

// ErrFenced is the cause of a context's end after which nothing of the attempt counts any more: another has
// taken over.
var ErrFenced = errors.New("the attempt is over: another has taken over, or may have")

// ErrStopping is the cause of a context's end when the server stops: its jobs go on when it starts again, those on
// other machines until then too.
var ErrStopping = errors.New("the server is stopping")

// Run runs a job to its end in a worker and gives the job's own error, or a *Death. It cancels the job when
// ctx ends, and kills it at once where the cause is ErrFenced. log gets what the worker prints.
func (p Process) Run(ctx context.Context, job Job, tracker experiments.Tracker, log io.Writer) error {
	if p.Grace == 0 {
		p.Grace = 8 * time.Second
	}
	if p.Memory == 0 {
		p.Memory = RoomOf(memory.Machine())
	}
	job.Grace, job.Memory, job.Root, job.Shared = p.Grace, p.Memory, p.Root, p.Shared
	program, args := p.Program, p.Args
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("worker: %w", err)
		}
		program, args = self, []string{Arg}
	}
	words := &tail{}
	alive, gone := context.WithCancel(context.WithoutCancel(ctx))
	defer gone()
	cmd := exec.Command(program, args...)
	cmd.Dir = job.Dir
	cmd.Stderr = io.MultiWriter(log, words)
	cmd.WaitDelay = time.Second // a grandchild may hold standard error open
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	// Not StdoutPipe: Wait would close it under the last answers.
	from, to, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("worker: %w", err)
	}
	defer from.Close()
	cmd.Stdout = to
	if err := cmd.Start(); err != nil {
		to.Close()
		return fmt.Errorf("start worker: %w", err)
	}
	to.Close()

	host := &Host{ctx: alive, job: job, tracker: tracker, cancelled: ctx.Done(), left: p.Left}
	server := rpc.NewServer()
	if err := server.Register(host); err != nil {
		return errors.Join(fmt.Errorf("worker: %w", err), cmd.Process.Kill(), cmd.Wait())
	}
	served := make(chan struct{})
	go func() {
		server.ServeConn(conn{from, in})
		close(served)
	}()
	over := make(chan string, 1)
	go watch(ctx, alive, cmd.Process, p, over)
	waited := cmd.Wait()
	gone()
	<-served // what the worker said before it left has been heard
	if said, err := host.outcome(); said {
		return err
	}
	if p.Left != nil && cmd.ProcessState.ExitCode() == statusLapsed {
		return &Lost{Cause: "the job stopped, since its lease had lapsed", Left: true}
	}
	death := &Death{Cause: causeOf(waited, words.String()), Detail: words.String()}
	select {
	case death.Cause = <-over:
	default:
	}
	return death
}

// watch kills a worker that holds too much memory, or that does not stop within its grace.
func watch(ctx, alive context.Context, process *os.Process, p Process, over chan<- string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var deadline <-chan time.Time
	stop := ctx.Done()
	for {
		select {
		case <-alive.Done():
			return
		case <-stop:
			if errors.Is(context.Cause(ctx), ErrFenced) {
				over <- ErrFenced.Error()
				_ = process.Kill() // it may have left by itself
				return
			}
			stop, deadline = nil, time.After(p.Grace)
		case <-deadline:
			over <- fmt.Sprintf("it did not stop within %v and was killed", p.Grace)
			_ = process.Kill() // it may have left by itself
			return
		case <-tick.C:
			if held, ok := memory.Held(process.Pid); ok && p.Memory > 0 && held > p.Memory {
				over <- fmt.Sprintf("it held more than its %.1f GiB of memory and was killed", float64(p.Memory)/(1<<30))
				_ = process.Kill()
				return
			}
		}
	}
}

// conn joins the two pipes.
type conn struct {
	io.ReadCloser
	to io.WriteCloser
}

func (c conn) Write(b []byte) (int, error) { return c.to.Write(b) }
func (c conn) Close() error                { return errors.Join(c.to.Close(), c.ReadCloser.Close()) }
