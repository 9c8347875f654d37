package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"triality/experiments"
)

// Watcher sees a run move.
type Watcher interface {
	Run(r experiments.Run)
	Progress(step string, p experiments.Progress)
}

// Follow tells a watcher of every change of a run until it has ended, and gives its end. A stream that breaks
// is taken up again where it broke; a server that stays away for patience is an error.
func (c *Client) Follow(ctx context.Context, id string, w Watcher) (experiments.Run, error) {
	const patience = 30 * time.Second
	last, heard := "", time.Now()
	for {
		run, err := c.Run(ctx, id)
		if err == nil {
			w.Run(run)
			if run.Status.Done() {
				return run, nil
			}
			err = c.stream(ctx, id, &last, w)
			heard = time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return run, ctx.Err()
		case experiments.CodeOf(err) == experiments.CodeNotFound:
			return run, err
		case err != nil && time.Since(heard) > patience:
			return run, err
		case err != nil:
			c.knock() // a server that was started again answers elsewhere, and counts its events on
		}
		select {
		case <-ctx.Done():
			return run, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// stream reads a run's events until the run has ended or the stream breaks.
func (c *Client) stream(ctx context.Context, id string, last *string, w Watcher) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	query := url.Values{"run_id": {id}}
	if *last != "" {
		query.Set("last_event_id", *last)
	}
	res, err := c.request(ctx, http.MethodGet, "/api/v1/events?"+query.Encode(), "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	r := bufio.NewReader(res.Body)
	var kind, data string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil // the server let go, as it does with slow readers
			}
			return err
		}
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "id":
			*last = value
		case "event":
			kind = value
		case "data":
			data += value
		case "":
			if line = strings.TrimSpace(line); line != "" {
				continue // a comment
			}
			ended := tell(kind, data, w)
			if kind, data = "", ""; ended {
				return nil
			}
		}
	}
}

// tell hands an event to the watcher; ended says that the run has.
func tell(kind, data string, w Watcher) (ended bool) {
	switch kind {
	case experiments.EventRun:
		var run experiments.Run
		if json.Unmarshal([]byte(data), &run) == nil {
			w.Run(run)
			return run.Status.Done()
		}
	case experiments.EventProgress:
		var p struct {
			Step     string               `json:"step"`
			Progress experiments.Progress `json:"progress"`
		}
		if json.Unmarshal([]byte(data), &p) == nil {
			w.Progress(p.Step, p.Progress)
		}
	case "reset":
		return true // what was missed is read anew
	}
	return false
}
