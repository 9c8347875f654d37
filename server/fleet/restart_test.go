package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"triality/server/worker"
)

// A server that starts again finds its workers at what they do, whether they speak first or it does.
func TestAWorkerGoesOnWithItsJobWhenTheServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	data, work := t.TempDir(), t.TempDir()
	s := serve(t, data, "127.0.0.1:0")
	if err := s.Serve(context.Background(), func() {}); err != nil {
		t.Fatal(err)
	}
	address := s.broker.address()
	w := agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	p := room(t, s)
	at := filepath.Join(t.TempDir(), "at")
	job := worker.Job{RunID: "r1", Attempt: 1, Config: "wait " + at, Dir: work}
	ctx, stop := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx, job, &notes{}, &buffer{}) }()
	eventually(t, "it is at work", func() bool { _, err := os.Stat(at); return err == nil })
	pid, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		stop(worker.ErrStopping)
		if err := <-ended; !errors.Is(err, worker.ErrStopping) {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = serve(t, data, address)
		p := s.Adopt("r1", 1, "one", -1)
		if err := s.Serve(context.Background(), func() {}); err != nil {
			t.Fatal(err)
		}
		ctx, stop = context.WithCancelCause(context.Background())
		eventually(t, "it has joined", func() bool { list := s.Members(); return len(list) == 1 && list[0].Connected })
		time.Sleep(testLease / 4) // it renews, and calls
		go func() { ended <- p.Run(ctx, job, &notes{}, &buffer{}) }()
		eventually(t, "it has joined again", func() bool {
			select {
			case err := <-w.end:
				t.Fatalf("the worker ended: %v", err)
			default:
			}
			list := s.Members()
			return len(list) == 1 && list[0].Connected && slices.Equal(list[0].Runs, []string{"r1"})
		})
		time.Sleep(testLease / 4) // it renews
	}
	if now, err := os.ReadFile(at); err != nil || string(now) != string(pid) {
		t.Errorf("another process does it: %s, %s (%v)", pid, now, err)
	}
	stop(context.Canceled)
	if err := <-ended; err == nil || errors.Is(err, worker.ErrStopping) {
		t.Errorf("%v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// The library deletes the consumer that it follows the orders with when it makes another, after an outage; a worker may
// delete none.
func TestAWorkerGoesOnWhenItsConsumerIsReplaced(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := served(t, data)
	w := agent(t, s.Address(), token(t, data, ""), "one", t.TempDir(), testInfo)
	room(t, s).Leave()
	js, err := jetstream.New(w.link.conn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := js.DeleteConsumer(ctx, "KV_"+bucket, "any"); err == nil {
		t.Error("it may")
	}
	select {
	case err := <-w.end:
		w.end <- err
		t.Fatalf("the worker ended: %v", err)
	case <-time.After(testLease / 2):
	}
	if list := s.Members(); len(list) != 1 || !list[0].Connected {
		t.Errorf("%+v", list)
	}
}
