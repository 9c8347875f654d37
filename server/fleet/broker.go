package fleet

import (
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"triality/experiments"
	"triality/runtime/disk"
)

// broker is a NATS server with JetStream inside this process.
type broker struct {
	nats   *server.Server
	gate   *gate
	secret string // with which this process connects
}

// jetStreamBytes bounds what JetStream keeps: a few lines a worker.
const jetStreamBytes = 64 << 20

// openBroker listens on an address. cert is the server's own where nil.
func openBroker(data, addr string, cert *tls.Certificate, tokens Tokens, log *slog.Logger) (*broker, error) {
	host, portText, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "workers' address %q: want HOST:PORT or nats://HOST:PORT: %w", addr, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "workers' address %q: want a port of 0 to 65535", addr)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	if host == "" {
		host = "0.0.0.0"
	}
	// The library reports a taken port late and by its own log.
	probe, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeUnavailable, "listen for workers on %s: %w", addr, err)
	}
	if err := probe.Close(); err != nil {
		return nil, fmt.Errorf("listen for workers on %s: %w", addr, err)
	}
	if cert == nil {
		own, err := ownCertificate(Folder(data))
		if err != nil {
			return nil, err
		}
		cert = &own
	}
	store := filepath.Join(Folder(data), "nats")
	if err := disk.MkdirAll(store, 0o700); err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	b := &broker{secret: rand.Text() + rand.Text()}
	b.gate = &gate{secret: b.secret, tokens: tokens, log: log}
	b.nats, err = server.NewServer(&server.Options{
		ServerName: "triality", Host: host, Port: port, NoSigs: true, NoSystemAccount: true,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}, TLSTimeout: 5, AuthTimeout: 6,
		CustomClientAuthentication: b.gate,
		JetStream:                  true, StoreDir: store, SyncAlways: true, JetStreamMaxStore: jetStreamBytes, JetStreamMaxMemory: 1 << 20,
		PingInterval: 10 * time.Second, MaxPingsOut: 2,
	})
	if err != nil {
		return nil, fmt.Errorf("workers: %w", err)
	}
	b.nats.SetLoggerV2(natsLog{log}, false, false, false)
	b.nats.Start()
	if !b.nats.ReadyForConnections(20 * time.Second) {
		b.close()
		return nil, experiments.Errorf(experiments.CodeUnavailable, "listen for workers on %s: the NATS server did not start; its log says why", addr)
	}
	return b, nil
}

// address is where workers reach it.
func (b *broker) address() string { return b.nats.Addr().String() }

func (b *broker) options() []nats.Option {
	return []nats.Option{nats.InProcessServer(b.nats), nats.Token(b.secret)}
}

func (b *broker) close() {
	b.nats.Shutdown()
	b.nats.WaitForShutdown()
}

// gate lets this process and workers in, and keeps a worker to its own subjects.
type gate struct {
	secret string
	tokens Tokens
	log    *slog.Logger

	mu   sync.Mutex
	ids  map[string]string      // of the token by which a worker came in last
	held func(name string) bool // whether a worker of that name is at work
}

func (g *gate) setHeld(held func(name string) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = held
}

// free says whether a name is nobody's, or was taken by that token: with another one may not listen to what is said to
// the worker that has it.
func (g *gate) free(name, token string) error {
	g.mu.Lock()
	by, taken := g.ids[name]
	held := g.held
	g.mu.Unlock()
	if taken && by != token && held != nil && held(name) {
		return fmt.Errorf("a worker called %s is at work, with token %s", name, by)
	}
	return nil
}

// Check implements server.Authentication.
func (g *gate) Check(c server.ClientAuthentication) bool {
	o := c.GetOpts()
	if subtle.ConstantTimeCompare([]byte(o.Token), []byte(g.secret)) == 1 {
		return true
	}
	id, err := g.tokens.check(o.Token, o.Name)
	if err == nil {
		err = CheckName(o.Name)
	}
	if err == nil {
		err = g.free(o.Name, id)
	}
	if err != nil {
		g.log.Warn("a worker was refused", "worker", fmt.Sprintf("%.80q", o.Name), "address", c.RemoteAddress(), "error", err)
		return false
	}
	c.RegisterUser(&server.User{Username: o.Name, Permissions: Permissions(o.Name)})
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ids == nil {
		g.ids = map[string]string{}
	}
	g.ids[o.Name] = id
	return true
}

// stands says whether the token by which a worker came in was not revoked since.
func (g *gate) stands(worker string) bool {
	g.mu.Lock()
	id, ok := g.ids[worker]
	g.mu.Unlock()
	if !ok {
		return true // it has not come in since this server started; then it was checked
	}
	stands, err := g.tokens.stands(id)
	if err != nil {
		g.log.Warn("tokens are not read", "error", err)
	}
	return stands
}

// Permissions are those of a worker: its own subjects, its own key, and answers to itself.
func Permissions(worker string) *server.Permissions {
	stream := "KV_" + bucket
	key := "$KV." + bucket + "." + worker
	return &server.Permissions{
		Publish: &server.SubjectPermission{Allow: []string{
			subject(worker, "*"),
			"$JS.API.STREAM.INFO." + stream,
			"$JS.API.DIRECT.GET." + stream + "." + key,
			"$JS.API.CONSUMER.CREATE." + stream + ".*." + key,
			"$JS.FC." + stream + ".>",
		}},
		Subscribe: &server.SubjectPermission{Allow: []string{inboxPrefix(worker) + ".>"}},
	}
}

// natsLog passes what the NATS server says to operators.
type natsLog struct{ log *slog.Logger }

func (l natsLog) Noticef(format string, v ...any) { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Warnf(format string, v ...any)   { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Errorf(format string, v ...any)  { l.log.Debug("nats: " + fmt.Sprintf(format, v...)) } // a client's fault as a rule
func (l natsLog) Fatalf(format string, v ...any)  { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l natsLog) Debugf(string, ...any)           {}
func (l natsLog) Tracef(string, ...any)           {}
