package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/events"
	"triality/server/store"
)

// events streams what the store commits. A stream begins with the id it goes on from, so that a client
// that loses it before the first event resumes there. An id that the log does not reach back to, and a
// client too slow to follow, get the event "reset": read everything anew.
func (s *Server) events(c echo.Context) error {
	req := c.Request()
	o := store.WatchOptions{RunID: c.QueryParam("run_id")}
	id := req.Header.Get("Last-Event-ID") // newer than the query when the browser reconnects
	if id == "" {
		id = c.QueryParam("last_event_id")
	}
	if id != "" {
		n, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return invalid("event id %.40q: want a whole number", id)
		}
		o.After = &n
	}
	if s.ending.Err() != nil {
		return experiments.Errorf(experiments.CodeUnavailable, "the server is stopping")
	}
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()

	w, err := s.store.Watch(ctx, o)
	reset := errors.Is(err, store.ErrReset)
	if reset {
		o.After = nil
		w, err = s.store.Watch(ctx, o)
	}
	if err != nil {
		return err
	}
	defer w.Close()

	h := c.Response().Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	c.Response().WriteHeader(http.StatusOK)
	out := stream{c.Response(), http.NewResponseController(c.Response())}
	hello := fmt.Sprintf("retry: 2000\nid: %d\n\n", w.LastID())
	if reset {
		hello = "retry: 2000\n" + frame(experiments.Event{ID: w.LastID(), Type: "reset"})
	}
	if out.send(hello) != nil {
		return nil
	}
	return s.follow(ctx, w, out)
}

// follow sends events and heartbeats until the client or the server ends it.
func (s *Server) follow(ctx context.Context, w *store.Watch, out stream) error {
	for {
		wait, cancel := context.WithTimeout(ctx, s.opts.Heartbeat)
		ev, err := w.Next(wait)
		cancel()
		switch {
		case err == nil:
			err = out.send(frame(ev))
		case ctx.Err() != nil, errors.Is(err, events.ErrClosed):
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			err = out.send(": heartbeat\n\n")
		case errors.Is(err, store.ErrReset):
			out.send(frame(experiments.Event{ID: w.LastID(), Type: "reset"}))
			return nil
		default:
			return err
		}
		if err != nil {
			return nil // the client is gone
		}
	}
}

type stream struct {
	w    *echo.Response
	ctrl *http.ResponseController
}

// send writes and flushes within ten seconds: a client that stops reading must not hold us.
func (o stream) send(text string) error {
	if err := o.ctrl.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := o.w.Write([]byte(text)); err != nil {
		return err
	}
	return o.ctrl.Flush()
}

// frame is an event as text. One that is not stored has no id, so the client's stays where it was.
func frame(ev experiments.Event) string {
	var b bytes.Buffer
	if ev.ID != 0 || ev.Type == "reset" {
		fmt.Fprintf(&b, "id: %d\n", ev.ID)
	}
	data := []byte(ev.Data)
	if len(data) == 0 {
		data = []byte("{}")
	}
	fmt.Fprintf(&b, "event: %s\ndata: ", ev.Type)
	if err := json.Compact(&b, data); err != nil { // a line break would end the field
		b.WriteString("null")
	}
	b.WriteString("\n\n")
	return b.String()
}
