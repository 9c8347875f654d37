package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"triality/experiments"
	"triality/server/worker"
)

// others are NATS servers that are there: one, or a cluster.
func others(t *testing.T, n int, users ...*server.User) (list []*server.Server) {
	t.Helper()
	var routes []*url.URL
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		defer l.Close()
	}
	for i := range n {
		o := &server.Options{
			ServerName: fmt.Sprintf("n%d", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, JetStream: true, StoreDir: t.TempDir(), Users: users,
		}
		if n > 1 {
			o.Cluster, o.Routes = server.ClusterOpts{Name: "theirs", Host: "127.0.0.1", Port: ports[i]}, routes
		}
		s, err := server.NewServer(o)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, s)
	}
	t.Cleanup(func() {
		for _, s := range list {
			s.Shutdown()
			s.WaitForShutdown()
		}
	})
	return list
}

// begin starts them; their ports are free by now.
func begin(t *testing.T, list []*server.Server) (address string) {
	t.Helper()
	var addresses []string
	for _, s := range list {
		go s.Start()
	}
	for _, s := range list {
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("a NATS server does not start")
		}
		addresses = append(addresses, s.ClientURL())
	}
	if len(list) > 1 {
		eventually(t, "the NATS servers have a leader", func() bool {
			return slices.ContainsFunc(list, func(s *server.Server) bool { return s.JetStreamIsLeader() }) &&
				!slices.ContainsFunc(list, func(s *server.Server) bool { return !s.JetStreamIsCurrent() })
		})
	}
	return strings.Join(addresses, ",")
}

// documented are the permissions that docs/workers.md lists, of a worker called so and of the server.
func documented(t *testing.T, name string) (ofWorker, ofServer *server.Permissions) {
	t.Helper()
	text, err := os.ReadFile("../../docs/workers.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```\npublish:(.*?)subscribe:(.*?)```").FindAllStringSubmatch(strings.ReplaceAll(string(text), "NAME", name), -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/workers.md has %d lists of permissions", len(blocks))
	}
	read := func(b []string) *server.Permissions {
		return &server.Permissions{Publish: &server.SubjectPermission{Allow: strings.Fields(b[1])}, Subscribe: &server.SubjectPermission{Allow: strings.Fields(b[2])}}
	}
	return read(blocks[0]), read(blocks[1])
}

const serverFile, workerFile = "user: server\npassword: s", "user: one\npassword: w"

func users(ofWorker, ofServer *server.Permissions) []*server.User {
	return []*server.User{{Username: "server", Password: "s", Permissions: ofServer}, {Username: "one", Password: "w", Permissions: ofWorker}}
}

// elsewhere opens a server that uses NATS servers that are there, and serves.
func elsewhere(t *testing.T, address string) (*Server, error) {
	t.Helper()
	s, err := Open(context.Background(), Options{
		Data: t.TempDir(), Address: address, NATS: Login(serverFile), Version: testVersion, Engine: testEngine, Lease: testLease, Logger: logger(t),
	})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { s.Close() })
	return s, s.Serve(context.Background(), func() {})
}

func TestThePermissionsOfTheDocumentationAreEnoughAndThoseOfTheEmbeddedServer(t *testing.T) {
	t.Parallel()
	ofWorker, ofServer := documented(t, "one")
	embedded := Permissions("one")
	if !slices.Equal(ofWorker.Publish.Allow, embedded.Publish.Allow) || !slices.Equal(ofWorker.Subscribe.Allow, embedded.Subscribe.Allow) {
		t.Errorf("docs/workers.md gives %v, the embedded server %v", ofWorker, embedded)
	}
	list := others(t, 1, users(ofWorker, ofServer)...)
	address := begin(t, list)
	s, err := elsewhere(t, address)
	if err != nil {
		t.Fatal(err)
	}
	agent(t, address, workerFile, "one", t.TempDir(), testInfo)
	tracker := &notes{}
	if err := room(t, s).Run(context.Background(), worker.Job{RunID: "r1", Attempt: 1, Config: "record", Dir: t.TempDir()}, tracker, &buffer{}); err != nil {
		t.Fatal(err)
	}
	if got := tracker.said(); len(got) != 42 {
		t.Errorf("recorded %q", got)
	}
}

func TestAUserWithTooFewPermissionsIsToldWhatItLacks(t *testing.T) {
	t.Parallel()
	without := func(list []string, subject string) []string {
		rest := slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == subject })
		if len(rest) == len(list) {
			t.Fatalf("%v has no %s", list, subject)
		}
		return rest
	}
	for _, subject := range []string{"_INBOX_triality.>", "$KV.triality_workers.>", "$JS.API.STREAM.*.KV_triality_workers", "triality.worker.*.*", "_INBOX.>"} {
		t.Run("server without "+subject, func(t *testing.T) {
			t.Parallel()
			ofWorker, ofServer := documented(t, "one")
			if slices.Contains(ofServer.Publish.Allow, subject) {
				ofServer.Publish.Allow = without(ofServer.Publish.Allow, subject)
			} else {
				ofServer.Subscribe.Allow = without(ofServer.Subscribe.Allow, subject)
			}
			list := others(t, 1, users(ofWorker, ofServer)...)
			_, err := elsewhere(t, begin(t, list))
			var denied *Denied
			stem, _, _ := strings.Cut(strings.TrimSuffix(subject, ".>"), ".*")
			if !errors.As(err, &denied) || !strings.Contains(err.Error(), stem) || experiments.CodeOf(err) != experiments.CodeUnavailable {
				t.Errorf("%v", err)
			}
		})
	}
	for _, subject := range []string{"triality.worker.one.*", "_INBOX_triality.one.>", "$JS.API.CONSUMER.CREATE.KV_triality_workers.*.$KV.triality_workers.one"} {
		t.Run("worker without "+subject, func(t *testing.T) {
			t.Parallel()
			ofWorker, ofServer := documented(t, "one")
			if slices.Contains(ofWorker.Publish.Allow, subject) {
				ofWorker.Publish.Allow = without(ofWorker.Publish.Allow, subject)
			} else {
				ofWorker.Subscribe.Allow = []string{"nothing"}
			}
			list := others(t, 1, users(ofWorker, ofServer)...)
			address := begin(t, list)
			if _, err := elsewhere(t, address); err != nil {
				t.Fatal(err)
			}
			w := agent(t, address, workerFile, "one", t.TempDir(), testInfo)
			var refused *Refused
			err := <-w.end
			w.end <- nil
			stem, _, _ := strings.Cut(strings.TrimSuffix(subject, ".>"), ".*")
			if !errors.As(err, &refused) || !strings.Contains(refused.Why, stem) || !strings.Contains(refused.Why, "docs/workers.md") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAClusterKeepsTheOrdersThriceAndMayLoseAServer(t *testing.T) {
	t.Parallel()
	ofWorker, ofServer := documented(t, "one")
	list := others(t, 3, users(ofWorker, ofServer)...)
	address := begin(t, list)
	s, err := elsewhere(t, address)
	if err != nil {
		t.Fatal(err)
	}
	status, err := s.kv.Status(context.Background())
	if err != nil || status.Config().Replicas != clusterReplicas {
		t.Fatalf("%+v (%v)", status, err)
	}
	w := agent(t, address, workerFile, "one", t.TempDir(), testInfo)
	at, tracker := filepath.Join(t.TempDir(), "at"), &notes{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	end := make(chan error, 1)
	p := room(t, s)
	go func() {
		end <- p.Run(ctx, worker.Job{RunID: "r1", Attempt: 1, Config: "wait " + at, Dir: t.TempDir()}, tracker, &buffer{})
	}()
	eventually(t, "it is at work", func() bool { return len(tracker.said()) == 1 })
	eventually(t, "each copy of the orders is current", func() bool {
		status, err := s.kv.Status(context.Background())
		if err != nil {
			return false
		}
		c := status.(*jetstream.KeyValueBucketStatus).StreamInfo().Cluster
		return len(c.Replicas) == clusterReplicas-1 && !slices.ContainsFunc(c.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline })
	})
	// Asked once: when it is gone the worker soon speaks to another, which is to stay.
	spoken := w.link.conn.ConnectedServerId()
	for _, n := range list {
		if n.ID() == spoken {
			n.Shutdown()
			n.WaitForShutdown()
		}
	}
	eventually(t, "the worker speaks to another", func() bool { return w.link.conn.Status() == nats.CONNECTED })
	cancel()
	select {
	case err := <-end:
		if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Errorf("%v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the job is not cancelled")
	}
	if got := tracker.said(); !slices.Equal(got, []string{"save running", "save interrupted"}) {
		t.Errorf("recorded %q", got)
	}
}
