package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/runtime/wallclock"
	"triality/server/worker"
)

func TestMain(m *testing.M) {
	// The race detector lets a process that ends linger for a second, longer than a worker has to stop here.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	if len(os.Args) > 1 && os.Args[1] == worker.Arg {
		os.Exit(worker.Main(os.Stdin, os.Stdout, deed))
	}
	if len(os.Args) > 1 && os.Args[1] == "agent" {
		agentMain(os.Args[2], os.Args[3], os.Args[4])
	}
	os.Exit(m.Run())
}

// agentMain is a worker as a process of its own: of a server's URL, a token and a folder.
func agentMain(url, token, dir string) {
	a, err := NewAgent(AgentOptions{Access: Access{URL: url, Text: token}, Name: "one", Dir: dir, Info: testInfo, Files: sharedFiles{}})
	if err == nil {
		err = a.Run(context.Background())
	}
	panic(err)
}

// deed is what the tests' jobs do: their configuration names it.
func deed(ctx context.Context, job worker.Job, t experiments.Tracker) error {
	name, rest, _ := strings.Cut(job.Config, " ")
	if job.Config == hungry {
		if job.Memory < hungryFor {
			return experiments.Errorf(experiments.CodeInvalid, "%w", &experiments.Shortage{Memory: hungryFor, Text: "planned memory: 6.0 GiB"})
		}
		return t.SaveRun(ctx, experiments.Run{ID: job.RunID, Status: experiments.Finished})
	}
	switch name {
	case "record":
		for i := range 40 {
			fmt.Fprintf(os.Stderr, "line %d\n", i)
			if err := t.LogMetrics(ctx, job.RunID, experiments.MetricBatch{"loss": {{Step: int64(i), Time: 1, Value: 0.5}}}); err != nil {
				return err
			}
		}
		if _, err := t.SaveArtifact(ctx, job.RunID, "adapter.bin", "x", bytes.NewReader(bytes.Repeat([]byte("0123456789abcdef"), 100_000))); err != nil {
			return err
		}
		_, wasm, err := t.Module(ctx, "abc")
		if err != nil || len(wasm) != bigModule {
			return fmt.Errorf("a module of %d bytes: %w", len(wasm), err)
		}
		if _, err := t.Run(ctx, "another"); experiments.CodeOf(err) != experiments.CodeInvalid {
			return fmt.Errorf("another's run: %w", err)
		}
		return t.SaveRun(ctx, experiments.Run{ID: job.RunID, Status: experiments.Finished})
	case "fail":
		return experiments.Errorf(experiments.CodeInvalid, "rows.jsonl:3: no label")
	case "die":
		os.Exit(7)
	case "clock":
		return t.SaveRun(ctx, experiments.Run{ID: job.RunID, Status: experiments.Finished, EndedAt: wallclock.Now()})
	case "wait", "deaf", "loud":
		if rest != "" { // says that it is at work, and who it is
			if err := os.WriteFile(rest, fmt.Append(nil, os.Getpid()), 0o600); err != nil {
				return err
			}
		}
		if err := t.SaveRun(ctx, experiments.Run{ID: job.RunID, Status: experiments.Running}); err != nil {
			return err
		}
		for name == "loud" { // until nobody reads it any more
			fmt.Fprintln(os.Stderr, strings.Repeat("a", 1000))
			t.Progress(job.RunID, "finetune", experiments.Progress{Done: 1, Total: 1})
		}
		if name == "deaf" {
			select {}
		}
		<-ctx.Done()
		return errors.Join(ctx.Err(), t.SaveRun(context.WithoutCancel(ctx), experiments.Run{ID: job.RunID, Status: experiments.Interrupted}))
	}
	return nil
}

const bigModule = 3<<20 + 5

// notes is a tracker that notes what it is asked.
type notes struct {
	experiments.Tracker
	mu    sync.Mutex
	asked []string
	saved experiments.Run // last
}

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, fmt.Sprintf(format, args...))
}

func (n *notes) said() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

func (n *notes) SaveRun(_ context.Context, r experiments.Run) error {
	n.note("save %s", r.Status)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.saved = r
	return nil
}

func (n *notes) LogMetrics(_ context.Context, _ string, b experiments.MetricBatch) error {
	n.note("point %d", b["loss"][0].Step)
	return nil
}

func (n *notes) SaveArtifact(_ context.Context, _, path, _ string, r io.Reader) (experiments.Artifact, error) {
	content, err := io.ReadAll(r)
	n.note("artifact %s of %d bytes", path, len(content))
	return experiments.Artifact{}, err
}

func (n *notes) Module(context.Context, string) (experiments.Module, []byte, error) {
	return experiments.Module{}, make([]byte, bigModule), nil
}

func (n *notes) Progress(string, string, experiments.Progress) {}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

const testVersion, testEngine = "1.2.3", "engine-7"

var testInfo = Info{Version: testVersion, Engine: testEngine, OS: "linux", Arch: "amd64", Cores: 2, Slots: 2}

// testLease is long enough for a loaded machine to renew in, and short enough to wait for.
const testLease = 3 * time.Second

func logger(t *testing.T) *slog.Logger {
	if !testing.Verbose() {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// serve starts a server of workers in a data folder.
func serve(t *testing.T, data, address string) *Server {
	t.Helper()
	s, err := Open(context.Background(), Options{Data: data, Address: address, Version: testVersion, Engine: testEngine, Lease: testLease, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func served(t *testing.T, data string) *Server {
	t.Helper()
	s := serve(t, data, "127.0.0.1:0")
	if err := s.Serve(context.Background(), func() {}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func token(t *testing.T, data, name string) string {
	t.Helper()
	tokens, err := OpenTokens(data)
	if err != nil {
		t.Fatal(err)
	}
	token, err := tokens.Make(name)
	if err != nil {
		t.Fatal(err)
	}
	return token.String()
}

// sharedFiles is the courier of workers that see the server's files under the same paths.
type sharedFiles struct{}

func (sharedFiles) Stage(_ context.Context, job worker.Job, _ Caller, _ io.Writer) (worker.Job, Delivery, error) {
	return job, sharedFiles{}, nil
}

func (sharedFiles) Clean(func(string) bool) error                 { return nil }
func (sharedFiles) Watch(context.Context) error                   { return nil }
func (sharedFiles) Before(context.Context, experiments.Run) error { return nil }
func (sharedFiles) After(context.Context, bool) error             { return nil }

// started is a worker under way.
type started struct {
	*Agent
	end  chan error
	stop context.CancelFunc
}

func agent(t *testing.T, url, token, name, dir string, info Info) *started {
	t.Helper()
	return agentOf(t, AgentOptions{Access: Access{URL: url, Text: token}, Name: name, Dir: dir, Info: info})
}

func agentOf(t *testing.T, o AgentOptions) *started {
	t.Helper()
	o.Files, o.Logger = sharedFiles{}, logger(t)
	a, err := NewAgent(o)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, a)
}

// run starts a worker that is made.
func run(t *testing.T, a *Agent) *started {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &started{Agent: a, end: make(chan error, 1), stop: cancel}
	go func() { w.end <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-w.end:
			w.end <- err
		case <-time.After(30 * time.Second):
			t.Error("the worker does not end")
		}
	})
	return w
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 4000 {
		if holds() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// place waits for a place.
func room(t *testing.T, s *Server) (p worker.Place) {
	t.Helper()
	eventually(t, "a worker has room", func() bool {
		p, _ = s.Take(worker.Need{Device: "auto"})
		return p != nil
	})
	return p
}
