package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"triality/server/worker"
)

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

func TestANameAtWorkIsNotTakenWithAnotherToken(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	first, other := token(t, data, ""), token(t, data, "")
	agent(t, s.Address(), first, "victim", t.TempDir(), testInfo)
	room(t, s).Leave()
	for text, want := range map[string]bool{first: true, other: false} {
		with, err := Access{URL: s.Address(), Text: text}.options("victim")
		if err != nil {
			t.Fatal(err)
		}
		c, err := nats.Connect(s.Address(), with...)
		if came := err == nil; came != want {
			t.Errorf("came in: %t, want %t (%v)", came, want, err)
		}
		if err == nil {
			c.Close()
		}
	}
}

// A worker that takes a name which is free by now does not get what the one before has begun.
func TestAnAttemptStaysWithTheFolderThatHasBegunIt(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	l := dialled(t, s, data, "one")
	p := room(t, s)
	end := make(chan error, 1)
	go func() {
		end <- p.Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Dir: t.TempDir()}, &notes{}, &buffer{})
	}()
	mine := &line{link: l, ref: ref{"r1", 1}}
	eventually(t, "it is handed out", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.attempts["r1"] != nil
	})
	if _, err := mine.call(context.Background(), methodJob, nil); err != nil {
		t.Fatal(err)
	}
	var left renewed
	if err := l.ask(context.Background(), verbRenew, renewal{Instance: "i", Held: []ref{{"r1", 1}}, Leaving: true}, &left); err != nil {
		t.Fatal(err)
	}
	var w welcome
	if err := l.ask(context.Background(), verbJoin, joining{Instance: "j", Folder: "another", Info: testInfo, Held: []ref{{"r1", 1}}}, &w); err != nil || w.Refused != "" {
		t.Fatal(err, w.Refused)
	}
	theirs := &line{link: &link{conn: l.conn, name: "one", instance: "j", try: 5 * time.Second}, ref: ref{"r1", 1}}
	if _, err := theirs.call(context.Background(), methodJob, nil); !errors.Is(err, worker.ErrFenced) {
		t.Errorf("it got the job: %v", err)
	}
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
	// What the server answers goes to the worker alone, wherever it is asked to send it.
	for _, elsewhere := range []string{key + "victim", "$JS.API.STREAM.DELETE.KV_" + bucket, inboxPrefix("victim") + ".x"} {
		for _, verb := range []string{verbJoin, verbRenew, verbCall} {
			if err := c.PublishRequest(subject("spy", verb), elsewhere, []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := join(c, "spy"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(testLease / 2) // what the server sent has arrived
	if e, err := s.kv.Get(ctx, "victim"); err != nil || !strings.Contains(string(e.Value()), `"r1"`) {
		t.Errorf("the victim's orders are %v (%v)", e, err)
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
