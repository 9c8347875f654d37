package think

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"triality/experiments"
	"triality/runtime/memory"
)

// grace is how long a process may take to stop what was cancelled, or to end, before it is killed, where Options do not say.
const grace = 5 * time.Second

// process is a model's process. One goroutine at a time asks it.
type process struct {
	order   Order
	hash    string // of the model
	cmd     *exec.Cmd
	in      io.WriteCloser
	asks    *json.Encoder
	replies chan reply // closed when nothing more comes
	ended   chan struct{}
	quit    chan struct{} // closed when nobody waits for replies any more
	once    sync.Once     // of quit
	grace   time.Duration
	mu      sync.Mutex
	over    string // why it was killed
}

// start starts a process that loads a model.
func start(ctx context.Context, o Options, order Order, key []byte) (*process, error) {
	program, args := o.Program, o.Args
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		program, args = self, []string{Arg}
	}
	p := &process{order: order, cmd: exec.Command(program, args...), replies: make(chan reply), ended: make(chan struct{}), quit: make(chan struct{}), grace: o.Grace}
	// What it prints when it dies may be words of a text: it goes nowhere, and its status says why.
	p.cmd.Stderr, p.cmd.Env = nil, append(os.Environ(), "GOTRACEBACK=none")
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	from, to, err := os.Pipe() // not StdoutPipe: Wait would close it under the last replies
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout = to
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, from.Close(), to.Close())
	}
	to.Close()
	p.asks = json.NewEncoder(p.in)
	go p.read(from)
	go func() {
		_ = p.cmd.Wait() // cause says how it ended
		close(p.ended)
	}()
	go p.watch()
	r, err := p.do(ctx, ask{Load: &load{order, key}}, nil)
	if err == nil && r.Failed != nil {
		err = r.Failed.err()
	}
	if err != nil {
		p.stop()
		return nil, err
	}
	p.hash = r.Loaded
	return p, nil
}

func (p *process) read(from *os.File) {
	defer from.Close()
	defer close(p.replies)
	in := json.NewDecoder(from)
	for {
		var r reply
		if in.Decode(&r) != nil {
			return
		}
		select {
		case p.replies <- r:
		case <-p.quit:
			return
		}
	}
}

// watch kills a process that holds more than it may.
func (p *process) watch() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-p.ended:
			return
		case <-tick.C:
			if held, ok := memory.Held(p.cmd.Process.Pid); ok && p.order.Memory > 0 && held > p.order.Memory {
				p.kill("it held more memory than it may")
			}
		}
	}
}

func (p *process) kill(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over == "" {
		p.over = why
	}
	_ = p.cmd.Process.Kill() // it may have ended
	p.once.Do(func() { close(p.quit) })
}

// stop ends the process.
func (p *process) stop() {
	p.once.Do(func() { close(p.quit) })
	_ = p.in.Close() // which it ends upon
	select {
	case <-p.ended:
	case <-time.After(p.grace):
		p.kill("it did not stop")
		<-p.ended
	}
}

func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// do asks and gives the reply that ends it; texts that come before it go to text. When ctx ends, or text gives an error, the
// process is told to stop: its last reply still counts, unless it does not come in time.
func (p *process) do(ctx context.Context, a ask, text func(string) error) (reply, error) {
	if err := p.asks.Encode(a); err != nil {
		return reply{}, p.death()
	}
	done, late := ctx.Done(), (<-chan time.Time)(nil)
	cancel := func() {
		if late == nil {
			done, late = nil, time.After(p.grace)
			_ = p.asks.Encode(ask{Cancel: true}) // where it is gone, the replies end
		}
	}
	for {
		select {
		case r, ok := <-p.replies:
			switch {
			case !ok:
				return reply{}, p.death()
			case r.Text != "":
				if late == nil && text(r.Text) != nil {
					cancel()
				}
			default:
				return r, nil
			}
		case <-done:
			cancel()
		case <-late:
			p.kill("it did not stop when it was told to")
			return reply{}, p.death()
		}
	}
}

// death says why a process is gone.
func (p *process) death() error {
	select {
	case <-p.ended:
	case <-time.After(p.grace):
		p.kill("it does not answer")
		<-p.ended
	}
	p.mu.Lock()
	why := p.over
	p.mu.Unlock()
	if why == "" {
		why = "it " + p.cmd.ProcessState.String()
		if status := p.cmd.ProcessState.ExitCode(); status == 2 { // that of Go's own deaths
			why = "it panicked, or had no memory left"
		}
	}
	return experiments.Errorf(experiments.CodeUnavailable, "the model's process is gone: %s; ask again, and it is started anew", why)
}
