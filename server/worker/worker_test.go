package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"triality/experiments"
	"triality/runtime/filelock"
	"triality/runtime/memory"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Arg {
		os.Exit(Main(os.Stdin, os.Stdout, deed))
	}
	os.Exit(m.Run())
}

var held [][]byte

// deed is what the tests' workers do: the job's configuration names it.
func deed(ctx context.Context, job Job, tracker experiments.Tracker) error {
	fmt.Fprintln(os.Stderr, "at work on", job.Config)
	switch job.Config {
	case "record":
		return record(ctx, job, tracker)
	case "fail":
		return experiments.Errorf(experiments.CodeInvalid, "rows.jsonl:3: no label")
	case "panic":
		panic("on purpose")
	case "leave":
		os.Exit(7)
	case "memory":
		for {
			b := make([]byte, 16<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			held = append(held, b)
		}
	case "wait":
		tracker.Progress(job.RunID, "finetune", experiments.Progress{Done: 1, Total: 1})
		<-ctx.Done()
		return errors.Join(ctx.Err(), tracker.SaveRun(context.WithoutCancel(ctx), experiments.Run{ID: job.RunID, Status: experiments.Interrupted}))
	case "deaf":
		tracker.Progress(job.RunID, "finetune", experiments.Progress{Done: 1, Total: 1})
		select {}
	case "other":
		return tracker.SaveRun(ctx, experiments.Run{ID: "another"})
	}
	return nil
}

func record(ctx context.Context, job Job, t experiments.Tracker) error {
	e, err := t.EnsureExperiment(ctx, "mine")
	if err != nil {
		return err
	}
	run := experiments.Run{ID: job.RunID, ExperimentID: e.ID, Status: experiments.Finished, Params: map[string]string{"a": "b"}}
	if err := t.SaveRun(ctx, run); err != nil {
		return err
	}
	batch := experiments.MetricBatch{"loss": {{Step: 1, Time: 2, Value: 0.5}}}
	if err := errors.Join(t.LogMetrics(ctx, job.RunID, batch), t.RestartMetrics(ctx, job.RunID, batch)); err != nil {
		return err
	}
	if _, err := t.SaveArtifact(ctx, job.RunID, "report.html", "text/html", strings.NewReader("<html>")); err != nil {
		return err
	}
	m, wasm, err := t.Module(ctx, "abc")
	if err != nil {
		return err
	}
	if err := t.UseModule(ctx, job.RunID, m, wasm); err != nil {
		return err
	}
	if _, err := t.Run(ctx, "nothing"); experiments.CodeOf(err) != experiments.CodeNotFound {
		return fmt.Errorf("a run that is not there: %w", err)
	}
	return nil
}

// notes is a tracker that notes what it is asked.
type notes struct {
	mu    sync.Mutex
	asked []string
	moved chan struct{} // progress was told
}

func newNotes() *notes { return &notes{moved: make(chan struct{}, 1)} }

func (n *notes) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, fmt.Sprintf(format, args...))
}

// said is what it was asked so far.
func (n *notes) said() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.asked)
}

func (n *notes) EnsureExperiment(_ context.Context, name string) (experiments.Experiment, error) {
	n.note("experiment %s", name)
	return experiments.Experiment{ID: "e1", Name: name}, nil
}

func (n *notes) Run(_ context.Context, id string) (experiments.Run, error) {
	return experiments.Run{}, experiments.Errorf(experiments.CodeNotFound, "no run %s", id)
}

func (n *notes) SaveRun(_ context.Context, r experiments.Run) error {
	n.note("save %s %s %s %v", r.ID, r.ExperimentID, r.Status, r.Params)
	return nil
}

func (n *notes) LogMetrics(_ context.Context, run string, b experiments.MetricBatch) error {
	n.note("log %s %v", run, b)
	return nil
}

func (n *notes) RestartMetrics(_ context.Context, run string, b experiments.MetricBatch) error {
	n.note("restart %s %v", run, b)
	return nil
}

func (n *notes) Progress(run, step string, p experiments.Progress) {
	select {
	case n.moved <- struct{}{}:
	default:
	}
}

func (n *notes) SaveArtifact(_ context.Context, run, path, mediaType string, r io.Reader) (experiments.Artifact, error) {
	b, err := io.ReadAll(r)
	n.note("artifact %s %s %s %s", run, path, mediaType, b)
	return experiments.Artifact{Path: path}, err
}

func (n *notes) Module(_ context.Context, sum string) (experiments.Module, []byte, error) {
	return experiments.Module{SHA256: sum, Name: "calm"}, []byte("\x00asm"), nil
}

func (n *notes) UseModule(_ context.Context, run string, m experiments.Module, wasm []byte) error {
	n.note("use %s %s %q", run, m.Name, wasm)
	return nil
}

// start runs a deed in a worker; the log is what the worker printed.
func start(t *testing.T, ctx context.Context, p Process, deed string, n *notes) (said string, err error) {
	t.Helper()
	var log bytes.Buffer
	err = p.Run(ctx, Job{RunID: "r1", Config: deed, Lock: filepath.Join(t.TempDir(), "r1.lock")}, n, &log)
	return log.String(), err
}

func TestAWorkerRecordsThroughItsParent(t *testing.T) {
	n := newNotes()
	log, err := start(t, context.Background(), Process{}, "record", n)
	if err != nil {
		t.Fatal(err, log)
	}
	want := []string{
		"experiment mine", "save r1 e1 finished map[a:b]", "log r1 map[loss:[{1 2 0.5}]]", "restart r1 map[loss:[{1 2 0.5}]]",
		"artifact r1 report.html text/html <html>", `use r1 calm "\x00asm"`,
	}
	if strings.Join(n.asked, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked:\n%s\nwant:\n%s", strings.Join(n.asked, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(log, "at work on record") {
		t.Errorf("log %q", log)
	}
}

func TestAJobsOwnErrorKeepsItsCode(t *testing.T) {
	_, err := start(t, context.Background(), Process{}, "fail", newNotes())
	if experiments.CodeOf(err) != experiments.CodeInvalid || err.Error() != "rows.jsonl:3: no label" {
		t.Errorf("%s: %v", experiments.CodeOf(err), err)
	}
}

func TestAWorkerRecordsItsOwnRunOnly(t *testing.T) {
	if _, err := start(t, context.Background(), Process{}, "other", newNotes()); experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), "no other") {
		t.Errorf("%v", err)
	}
}

func TestADeathSaysItsCause(t *testing.T) {
	for deed, want := range map[string]string{"panic": "panic: on purpose", "leave": "exit status 7"} {
		t.Run(deed, func(t *testing.T) {
			var causes []string
			for range 2 {
				_, err := start(t, context.Background(), Process{}, deed, newNotes())
				var death *Death
				if !errors.As(err, &death) {
					t.Fatalf("not a death: %v", err)
				}
				causes = append(causes, death.Cause)
				if !strings.Contains(death.Detail, "at work on "+deed) || len(death.Detail) > lastWords {
					t.Errorf("last words %q", death.Detail)
				}
			}
			if causes[0] != want || causes[1] != want {
				t.Errorf("causes %q, want %q twice", causes, want)
			}
		})
	}
}

func TestAWorkerThatHoldsTooMuchMemoryIsKilled(t *testing.T) {
	if _, ok := memory.Held(os.Getpid()); !ok {
		t.Skip("this system does not say what a process holds")
	}
	_, err := start(t, context.Background(), Process{Memory: 256 << 20}, "memory", newNotes())
	var death *Death
	if !errors.As(err, &death) || !strings.Contains(death.Cause, "more than its 0.2 GiB of memory") {
		t.Errorf("%v", err)
	}
}

func TestACancelledJobLeavesByItself(t *testing.T) {
	n := newNotes()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-n.moved
		cancel()
	}()
	_, err := start(t, ctx, Process{}, "wait", n)
	var death *Death
	if err == nil || errors.As(err, &death) || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("%v", err)
	}
	if len(n.asked) != 1 || !strings.Contains(n.asked[0], "interrupted") {
		t.Errorf("what it recorded after the cancellation: %q", n.asked)
	}
}

func TestAJobThatDoesNotStopIsKilled(t *testing.T) {
	n := newNotes()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-n.moved
		cancel()
	}()
	_, err := start(t, ctx, Process{Grace: 100 * time.Millisecond}, "deaf", n)
	var death *Death
	if !errors.As(err, &death) {
		t.Errorf("%v", err)
	}
}

func TestASignalFromElsewhereIsADeathThatIsNamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no such signal on Windows")
	}
	n := newNotes()
	var pid int
	var mu sync.Mutex
	go func() {
		<-n.moved
		mu.Lock()
		defer mu.Unlock()
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Signal(syscall.SIGTERM)
		}
	}()
	mu.Lock()
	dir := t.TempDir()
	// A shell says its process number and becomes the worker.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pid")
	go func() {
		defer mu.Unlock()
		for range 2000 {
			if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
				fmt.Sscan(string(text), &pid)
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	_, err = start(t, context.Background(), Process{Program: "/bin/sh", Args: []string{"-c", fmt.Sprintf("echo $$ >%s; exec %s %s", file, self, Arg)}}, "wait", n)
	var death *Death
	if !errors.As(err, &death) || death.Cause != interrupted {
		t.Errorf("%v", err)
	}
}

func TestAnAttemptWaitsForTheOneBeforeIt(t *testing.T) {
	lock := filepath.Join(t.TempDir(), "r1.lock")
	unlock, err := filelock.Try(lock)
	if err != nil || unlock == nil {
		t.Fatal("lock:", err)
	}
	n, ended := newNotes(), make(chan error, 1)
	logged := &notifier{seen: make(chan struct{})}
	go func() {
		ended <- Process{}.Run(context.Background(), Job{RunID: "r1", Config: "record", Lock: lock}, n, logged)
	}()
	select {
	case <-logged.seen:
	case err := <-ended:
		t.Fatal("it did not wait:", err)
	}
	if asked := n.said(); len(asked) != 0 {
		t.Errorf("while it waited it asked %q", asked)
	}
	unlock()
	if err := <-ended; err != nil || len(n.asked) == 0 {
		t.Errorf("%v, asked %q", err, n.asked)
	}
}

// notifier closes seen when something is written to it.
type notifier struct {
	once sync.Once
	seen chan struct{}
}

func (n *notifier) Write(b []byte) (int, error) {
	n.once.Do(func() { close(n.seen) })
	return len(b), nil
}

func TestAWorkerWhoseParentIsGoneLeaves(t *testing.T) {
	in, parent := io.Pipe()
	out, child := io.Pipe()
	go io.Copy(io.Discard, out)
	parent.CloseWithError(io.EOF)
	if status := Main(in, child, deed); status == 0 {
		t.Error("it left with status 0")
	}
}

func TestTheTailKeepsWholeCharacters(t *testing.T) {
	l := &tail{}
	for range 1000 {
		fmt.Fprint(l, "日本語")
	}
	if s := l.String(); len(s) > lastWords || strings.Trim(s, "日本語") != "" {
		t.Errorf("%d bytes, %q", len(s), s[:20])
	}
}
