package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/events"
	"triality/server/store"
)

// events streams what the store commits. A stream begins with the id it goes on from, so that a client
// that loses it before the first event resumes there. An id that the log does not reach back to gets the
// event "reset": read everything anew. A client too slow to follow is dropped; when it comes back with the
// last id it saw, as a browser does by itself, it misses nothing.
func (s *Server) events(c echo.Context) error {
	req := c.Request()
	o := store.WatchOptions{RunID: c.QueryParam("run_id")}
	named := c.QueryParam("named")
	if named != "" && named != "1" {
		return invalid("named=%.40q: want 1, or leave it out", named)
	}
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
	if req.Method == http.MethodHead {
		return nil
	}
	out := stream{c.Response(), http.NewResponseController(c.Response()), s.opts.StallTime, named == "1"}
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
			err = out.events(ctx, w, ev)
		case ctx.Err() != nil, errors.Is(err, events.ErrClosed):
			return nil
		case errors.Is(err, context.DeadlineExceeded):
			err = out.send(": heartbeat\n\n")
		case errors.Is(err, events.ErrSlow):
			out.send(": too slow; come back with Last-Event-ID\n\n")
			return nil
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
	w     *echo.Response
	ctrl  *http.ResponseController
	stall time.Duration // that a client may leave what it was sent unread
	named bool          // an event's data stands in an object beside its run
}

// events sends an event with those that wait behind it.
func (o stream) events(ctx context.Context, w *store.Watch, ev experiments.Event) error {
	if err := o.deadline(); err != nil {
		return err
	}
	for {
		if err := o.event(ev); err != nil {
			return err
		}
		if !w.More() {
			return o.ctrl.Flush()
		}
		var err error
		if ev, err = w.Next(ctx); err != nil {
			return err
		}
	}
}

// send writes and flushes.
func (o stream) send(text string) error {
	if err := o.deadline(); err != nil {
		return err
	}
	if _, err := io.WriteString(o.w, text); err != nil {
		return err
	}
	return o.ctrl.Flush()
}

// deadline bounds the next write: a client that stops reading must not hold us.
func (o stream) deadline() error {
	err := o.ctrl.SetWriteDeadline(time.Now().Add(o.stall))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// event writes an event without a copy of its data, which thousands of streams share.
func (o stream) event(ev experiments.Event) error {
	before, after := frameHead(ev), "\n\n"
	if o.named {
		id, err := json.Marshal(ev.RunID)
		if err != nil {
			return err
		}
		before, after = before+`{"run_id":`+string(id)+`,"data":`, "}\n\n"
	}
	if _, err := io.WriteString(o.w, before); err != nil {
		return err
	}
	if _, err := o.w.Write(oneLine(ev.Data)); err != nil {
		return err
	}
	_, err := io.WriteString(o.w, after)
	return err
}

// frameHead is an event as text up to its data. One that is not stored has no id, so the client's stays
// where it was.
func frameHead(ev experiments.Event) string {
	if ev.ID != 0 || ev.Type == "reset" {
		return fmt.Sprintf("id: %d\nevent: %s\ndata: ", ev.ID, ev.Type)
	}
	return fmt.Sprintf("event: %s\ndata: ", ev.Type)
}

// frame is an event as text.
func frame(ev experiments.Event) string {
	return frameHead(ev) + string(oneLine(ev.Data)) + "\n\n"
}

// oneLine is an event's data without line breaks, which would end its field.
func oneLine(data []byte) []byte {
	if len(data) == 0 {
		return []byte("{}")
	}
	if bytes.IndexByte(data, '\n') < 0 {
		return data
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return []byte("null")
	}
	return b.Bytes()
}
