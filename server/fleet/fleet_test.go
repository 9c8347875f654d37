package fleet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"triality/experiments"
	"triality/server/worker"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == worker.Arg {
		os.Exit(worker.Main(os.Stdin, os.Stdout, deed))
	}
	os.Exit(m.Run())
}

// deed is what the tests' jobs do: their configuration names it.
func deed(ctx context.Context, job worker.Job, t experiments.Tracker) error {
	name, rest, _ := strings.Cut(job.Config, " ")
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
	case "wait", "deaf":
		if rest != "" { // says that it is at work, and who it is
			if err := os.WriteFile(rest, fmt.Append(nil, os.Getpid()), 0o600); err != nil {
				return err
			}
		}
		if err := t.SaveRun(ctx, experiments.Run{ID: job.RunID, Status: experiments.Running}); err != nil {
			return err
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

func (n *notes) Progress(string, experiments.StepKind, experiments.Progress) {}

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

// started is a worker under way.
type started struct {
	*Agent
	end  chan error
	stop context.CancelFunc
}

func agent(t *testing.T, url, token, name, dir string, info Info) *started {
	t.Helper()
	a, err := NewAgent(AgentOptions{Access: Access{URL: url, Text: token}, Name: name, Dir: dir, Info: info, Logger: logger(t)})
	if err != nil {
		t.Fatal(err)
	}
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

func TestAJobRunsOnAWorker(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	p := room(t, s)
	tracker, log := &notes{}, &buffer{}
	if err := p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "record", Dir: t.TempDir()}, tracker, log); err != nil {
		t.Fatal(err, log.String())
	}
	want, lines := []string{}, "on worker one\n"
	for i := range 40 {
		want, lines = append(want, fmt.Sprintf("point %d", i)), lines+fmt.Sprintf("line %d\n", i)
	}
	want = append(want, "artifact adapter.bin of 1600000 bytes", "save finished")
	if got := tracker.said(); !slices.Equal(got, want) {
		t.Errorf("recorded %q", got)
	}
	if log.String() != lines {
		t.Errorf("log:\n%s", log.String())
	}
}

func TestAJobsOwnErrorAndItsProcesssDeathArrive(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	err := room(t, s).Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "fail", Dir: t.TempDir()}, &notes{}, &buffer{})
	if experiments.CodeOf(err) != experiments.CodeInvalid || err.Error() != "rows.jsonl:3: no label" {
		t.Errorf("%v", err)
	}
	var death *worker.Death
	err = room(t, s).Run(context.Background(), worker.Job{RunID: "r2", Attempt: 1, Config: "die", Dir: t.TempDir()}, &notes{}, &buffer{})
	if !errors.As(err, &death) || death.Cause != "exit status 7" {
		t.Errorf("%v", err)
	}
}

func TestCancellingReachesAWorker(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	ctx, cancel := context.WithCancel(context.Background())
	at := filepath.Join(t.TempDir(), "at")
	tracker := &notes{}
	end := make(chan error, 1)
	p := room(t, s)
	go func() {
		end <- p.Run(ctx, worker.Job{RunID: "r1", Attempt: 1, Config: "wait " + at, Dir: t.TempDir()}, tracker, &buffer{})
	}()
	eventually(t, "it is at work", func() bool { return len(tracker.said()) == 1 })
	cancel()
	if err := <-end; err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("%v", err)
	}
	if got := tracker.said(); !slices.Equal(got, []string{"save running", "save interrupted"}) {
		t.Errorf("recorded %q", got)
	}
}

func TestAWorkerOfAnotherVersionOrEngineIsRefusedByName(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	for name, change := range map[string]func(*Info){
		"version": func(i *Info) { i.Version = "1.2.4" },
		"engine":  func(i *Info) { i.Engine = "engine-8" },
	} {
		t.Run(name, func(t *testing.T) {
			info := testInfo
			change(&info)
			w := agent(t, s.Address(), token(t, data, ""), "gpu-"+name, t.TempDir(), info)
			var refused *Refused
			if err := <-w.end; !errors.As(err, &refused) {
				t.Fatal(err)
			}
			w.end <- nil
			for _, part := range []string{"worker gpu-" + name, info.Version, info.Engine, testVersion, testEngine} {
				if !strings.Contains(refused.Why, part) {
					t.Errorf("%q lacks %q", refused.Why, part)
				}
			}
		})
	}
	if list := s.Members(); len(list) != 0 {
		t.Errorf("joined: %+v", list)
	}
}

func TestATokenWithoutTheRightIsRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	good := token(t, data, "")
	tokens, err := OpenTokens(data)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := parseToken(good)
	forged := parsed
	forged.Secret = strings.Repeat("A", len(forged.Secret))
	other := token(t, t.TempDir(), "") // of another server
	revoked := token(t, data, "")
	gone, _ := parseToken(revoked)
	if err := tokens.Revoke(gone.ID); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"forged": forged.String(), "revoked": revoked, "of another worker": token(t, data, "somebody"), "of another use": "5oMeOtherSecretOfTheAPI",
		"of another server": other,
	} {
		t.Run(name, func(t *testing.T) {
			a := Access{URL: s.Address(), Text: text}
			if name == "of another use" {
				a.Text = parsed.String() // for the server's key alone
				with, err := a.options("x")
				if err != nil {
					t.Fatal(err)
				}
				if c, err := nats.Connect(s.Address(), append(with, nats.Token(text))...); err == nil {
					c.Close()
					t.Fatal("it came in")
				} else if !errors.Is(err, nats.ErrAuthorization) {
					t.Error(err)
				}
				return
			}
			w := agent(t, a.URL, a.Text, "x", t.TempDir(), testInfo)
			if name == "of another server" { // whose key is another: that server is not told the secret
				w.stop()
				if err := <-w.end; err == nil {
					t.Error("it came in")
				}
				w.end <- nil
				return
			}
			var refused *Refused
			if err := <-w.end; !errors.As(err, &refused) {
				t.Error(err)
			}
			w.end <- nil
		})
	}
}

func TestARevokedTokensWorkerStops(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	text := token(t, data, "")
	w := agent(t, s.Address(), text, "one", t.TempDir(), testInfo)
	p := room(t, s)
	at := filepath.Join(t.TempDir(), "at")
	end := make(chan error, 1)
	go func() {
		end <- p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "deaf " + at, Dir: t.TempDir()}, &notes{}, &buffer{})
	}()
	eventually(t, "it is at work", func() bool { _, err := os.Stat(at); return err == nil })
	tokens, err := OpenTokens(data)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := parseToken(text)
	if err := tokens.Revoke(parsed.ID); err != nil {
		t.Fatal(err)
	}
	var refused *Refused
	if err := <-w.end; !errors.As(err, &refused) || !strings.Contains(refused.Why, "revoked") {
		t.Error(err)
	}
	w.end <- nil
	var lost *worker.Lost
	if err := <-end; !errors.As(err, &lost) {
		t.Error(err)
	}
}

func TestAWorkerReachesItsOwnSubjectsAlone(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	agent(t, s.Address(), token(t, data, ""), "victim", t.TempDir(), testInfo)
	at := filepath.Join(t.TempDir(), "at")
	p := room(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go p.Run(ctx, worker.Job{RunID: "r1", Attempt: 1, Config: "wait " + at, Dir: t.TempDir()}, &notes{}, &buffer{})
	eventually(t, "it is at work", func() bool { _, err := os.Stat(at); return err == nil })

	with, err := Access{URL: s.Address(), Text: token(t, data, "")}.options("spy")
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan error, 16)
	c, err := nats.Connect(s.Address(), append(with, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	key := "$KV." + bucket + "."
	for _, subject := range []string{
		subject("victim", verbCall), subject("victim", verbRenew), subject("victim", verbJoin), key + "victim", key + "spy",
		"$JS.API.DIRECT.GET.KV_" + bucket + "." + key + "victim", "$JS.API.STREAM.MSG.GET.KV_" + bucket,
		"$JS.API.CONSUMER.CREATE.KV_" + bucket + ".x." + key + "victim", "$JS.API.CONSUMER.CREATE.KV_" + bucket + ".x",
		"$JS.API.STREAM.DELETE.KV_" + bucket, "$JS.API.STREAM.PURGE.KV_" + bucket, "$JS.API.STREAM.NAMES", "$SYS.REQ.SERVER.PING",
		inboxPrefix("victim") + ".x",
	} {
		if err := c.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", subject, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("may publish on %s", subject)
		}
	}
	for _, subject := range []string{">", inboxPrefix("victim") + ".>", subjectPrefix + ">", key + ">"} {
		if _, err := c.Subscribe(subject, func(*nats.Msg) {}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", subject, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("may subscribe to %s", subject)
		}
	}
	// A consumer whose filter is not that of its subject is refused by JetStream.
	m, err := c.Request("$JS.API.CONSUMER.CREATE.KV_"+bucket+".x."+key+"spy",
		[]byte(`{"stream_name":"KV_`+bucket+`","config":{"name":"x","filter_subject":"`+key+`victim","deliver_subject":"`+inboxPrefix("spy")+`.y","ack_policy":"none"}}`), 10*time.Second)
	if err != nil || !strings.Contains(string(m.Data), "error") {
		t.Errorf("%v %s", err, m.Data)
	}
	// As itself it has no part in another's job.
	if err := join(c, "spy"); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{methodJob, "SaveRun", prefixFiles + "get"} {
		spy := &line{link: &link{conn: c, name: "spy", instance: "i", try: 5 * time.Second}, ref: ref{"r1", 1}}
		if _, err := spy.call(context.Background(), method, nil); !errors.Is(err, worker.ErrFenced) {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// join lets a connection be a worker.
func join(c *nats.Conn, name string) error {
	var w welcome
	l := &link{conn: c, name: name, instance: "i", try: 5 * time.Second}
	if err := l.ask(context.Background(), verbJoin, joining{Instance: "i", Folder: "f", Info: testInfo}, &w); err != nil {
		return err
	}
	if w.Refused != "" {
		return errors.New(w.Refused)
	}
	return nil
}

// dialled gives a connection that is worker name by hand.
func dialled(t *testing.T, s *Server, data, name string) *link {
	t.Helper()
	with, err := Access{URL: s.Address(), Text: token(t, data, "")}.options(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := nats.Connect(s.Address(), with...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := join(c, name); err != nil {
		t.Fatal(err)
	}
	return &link{conn: c, name: name, instance: "i", try: 5 * time.Second}
}

func TestLateCallsOfAnAttemptAreRefused(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	l := dialled(t, s, data, "one")
	tracker := &notes{}
	run := func(attempt int) chan error {
		end, p := make(chan error, 1), room(t, s)
		go func() {
			end <- p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: attempt, Dir: t.TempDir()}, tracker, &buffer{})
			p.Leave()
		}()
		eventually(t, "it is handed out", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.attempts["r1"] != nil
		})
		return end
	}
	lines := map[int]*line{}
	for attempt := range 4 {
		lines[attempt] = &line{link: l, ref: ref{"r1", attempt}}
	}
	save := func(attempt int) error {
		return worker.NewTracker(lines[attempt].call).SaveRun(context.Background(), experiments.Run{ID: "r1", Status: experiments.Running})
	}
	first := run(1)
	if err := save(1); err != nil {
		t.Fatal(err)
	}
	var lost *worker.Lost
	if err := <-first; !errors.As(err, &lost) || lost.Left { // nobody renews
		t.Fatal(err)
	}
	if err := join(l.conn, "one"); err != nil { // its lease had lapsed
		t.Fatal(err)
	}
	second := run(2)
	for attempt, want := range map[int]bool{1: true, 2: false, 3: true} {
		if err := save(attempt); errors.Is(err, worker.ErrFenced) != want {
			t.Errorf("attempt %d: %v", attempt, err)
		}
	}
	if got := tracker.said(); len(got) != 2 {
		t.Errorf("recorded %q", got)
	}
	if _, err := lines[2].call(context.Background(), methodEnd, encode(ending{})); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Error(err)
	}
	if err := save(2); !errors.Is(err, worker.ErrFenced) {
		t.Errorf("after its end: %v", err)
	}
}

func TestACallThatIsSaidTwiceIsDoneOnce(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	l := dialled(t, s, data, "one")
	tracker, log := &notes{}, &buffer{}
	p := room(t, s)
	go p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Dir: t.TempDir()}, tracker, log)
	eventually(t, "it is handed out", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.attempts["r1"] != nil
	})
	n := &line{link: l, ref: ref{"r1", 1}}
	points := worker.NewTracker(func(ctx context.Context, method string, args []byte) ([]byte, error) {
		id := n.begin()
		var answer []byte
		var err error
		for range 3 { // as if the answers were lost
			answer, err = n.say(ctx, id, method, parted(args))
		}
		n.ended(id)
		return answer, err
	})
	for i := range 3 {
		if err := points.LogMetrics(context.Background(), "r1", experiments.MetricBatch{"loss": {{Step: int64(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	// What was answered comes once more, late.
	if _, _, err := n.part(context.Background(), head{ID: 1, Method: "LogMetrics", Parts: 1}, nil); err != nil {
		t.Error(err)
	}
	if got := tracker.said(); !slices.Equal(got, []string{"point 0", "point 1", "point 2"}) {
		t.Errorf("recorded %q", got)
	}
	say := func(at int64, text string) {
		args := append(binary.LittleEndian.AppendUint64(nil, uint64(at)), text...)
		if _, err := n.call(context.Background(), methodLog, args); err != nil {
			t.Fatal(err)
		}
	}
	say(0, "one two ")
	say(0, "one two ")
	say(4, "two three ")
	say(8, "three ")
	if log.String() != "one two three " {
		t.Errorf("log %q", log.String())
	}
}

// The worker stops a job before the server gives it away, whatever it does.
func TestAWorkerThatLosesTheServerStopsItsJobInTime(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	w := agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	at := filepath.Join(t.TempDir(), "at")
	p := room(t, s)
	end := make(chan time.Time, 1)
	go func() {
		err := p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "deaf " + at, Dir: t.TempDir()}, &notes{}, &buffer{})
		var lost *worker.Lost
		if !errors.As(err, &lost) {
			t.Error(err)
		}
		end <- time.Now()
	}()
	eventually(t, "it is at work", func() bool { text, _ := os.ReadFile(at); return len(text) > 0 })
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	// The server is deaf: it hears of no renewal, and answers none.
	for _, sub := range s.subs {
		if err := sub.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
	var stopped time.Time
	eventually(t, "the job is gone", func() bool {
		stopped = time.Now()
		_, err := os.Stat("/proc/" + string(text))
		return runtime.GOOS != "linux" || err != nil
	})
	if given := <-end; !given.After(stopped) {
		t.Errorf("given away %v before it was stopped", stopped.Sub(given))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) > 0 {
		eventually(t, "nothing is held", func() bool { w.mu.Unlock(); time.Sleep(time.Millisecond); w.mu.Lock(); return len(w.held) == 0 })
	}
}
