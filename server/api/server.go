package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/books"
	"triality/server/mlflow"
	"triality/server/store"
)

// Server answers HTTP requests.
type Server struct {
	opts        Options
	store       *store.Store
	log         *slog.Logger
	echo        *echo.Echo
	site        site
	uploads     chan struct{} // a place each large module being uploaded
	instruments *instruments
	loads       chan struct{}
	room        *books.Room
	pairs       pairs
	pairing     sync.Mutex    // held while results are read to be compared
	inferring   chan struct{} // a place for who infers from samples
	openapi     []byte
	started     time.Time
	// ending is closed when the server stops, so that event streams end.
	ending context.Context
	end    context.CancelFunc
}

// New makes a server; it does not listen.
func New(o Options) (*Server, error) {
	if o.Store == nil {
		return nil, errors.New("api: a store is needed")
	}
	s := &Server{opts: o.withDefaults(), store: o.Store, echo: echo.New(), uploads: newUploads(), loads: make(chan struct{}, loadsAtOnce), inferring: make(chan struct{}, 1), started: time.Now().UTC()}
	s.log = s.opts.Logger
	s.ending, s.end = context.WithCancel(context.Background())
	s.site = newSite(o.Frontend)
	s.room = books.NewRoom(func(book string, items []books.Present) {
		s.store.Announce(experiments.EventPresence, struct {
			Book  string          `json:"book"`
			Items []books.Present `json:"items"`
		}{book, items})
	})
	s.instruments = newInstruments(o.Store, o.Info)
	routes := s.routes()
	doc, err := document(routes, o.Info.Version)
	if err != nil {
		return nil, fmt.Errorf("api: openapi document: %w", err)
	}
	s.openapi = doc

	e := s.echo
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = s.handleError
	e.Logger.SetOutput(discard{})
	e.Use(s.observe, secure, s.guard)
	for _, r := range routes {
		e.Add(r.method, r.path, r.handler)
		if r.method == http.MethodGet { // net/http sends the head of the answer alone
			e.Add(http.MethodHead, r.path, r.handler)
		}
	}
	(&mlflow.API{Store: o.Store, Version: o.Info.Version, Logger: s.log, MaxArtifactBytes: s.opts.MaxArtifactBytes}).Register(e)
	e.GET("/*", s.site.serve)
	e.HEAD("/*", s.site.serve)
	return s, nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// loggedPath leaves the secret of a report's link out.
func loggedPath(p string) string {
	if strings.HasPrefix(p, "/shared/") {
		return "/shared/…"
	}
	return p
}

// observe logs requests and turns a panic into an error.
func (s *Server) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		start, req := time.Now(), c.Request()
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler {
					panic(p)
				}
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
			if err != nil {
				c.Error(err)
			}
			s.instruments.observed(c, time.Since(start))
			s.log.Debug("request", "method", req.Method, "path", loggedPath(req.URL.Path), "status", c.Response().Status,
				"bytes", c.Response().Size, "took", time.Since(start))
			err = nil
		}()
		return next(c)
	}
}

// Handler serves requests without listening, for tests and embedding.
func (s *Server) Handler() http.Handler { return s.echo }

// Serve answers on ln until ctx ends; then it ends the event streams, finishes the requests under way
// (up to ten seconds) and returns nil. ln must be on a loopback address.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	if err := CheckAddress(ln.Addr().String()); err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{
		Handler:           s.echo,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.Stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		return errors.Join(fmt.Errorf("shut down: %w", err), srv.Close())
	}
	return nil
}

// Stop ends the event streams, those to come included.
func (s *Server) Stop() {
	s.end()
	s.room.Close()
}
