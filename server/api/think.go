package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/think"
)

// Think judges queries and answers them.
type Think interface {
	Ask(ctx context.Context, q think.Query, to think.Listener) error
}

// Escalations are the queries that wait for a person.
type Escalations interface {
	List() ([]think.Escalation, error)
	Decide(request int64, decision, note string) error
}

type (
	thinkBody struct {
		Query        string   `json:"query"`
		MaxNewTokens *int     `json:"max_new_tokens"` // default 512
		Temperature  *float64 `json:"temperature"`    // default 0: the likeliest token
		TopP         *float64 `json:"top_p"`          // default 1: all tokens
		Model        string   `json:"model"`          // a run's id or, with --data-root, a folder below it; empty: the server's
		Language     string   `json:"language"`       // of fixed texts, en or ja; empty: the query's
	}
	thinkAnswer struct {
		think.Verdict
		Answer string `json:"answer"`
		think.Ending
	}
	decision struct {
		Decision string `json:"decision"` // allow or deny
		Note     string `json:"note"`
	}
)

// maxThinkBody is the largest query, which JSON may write in six bytes a byte, and the rest.
const maxThinkBody = 6*think.MaxQuery + 4<<10

func (s *Server) think(c echo.Context) error {
	if s.opts.Think == nil {
		return experiments.Errorf(experiments.CodeUnavailable, "this server answers no queries: start it with --think MODEL")
	}
	var in thinkBody
	if _, err := readJSON(c, maxThinkBody, &in); err != nil {
		return err
	}
	q := think.Query{Text: in.Query, Model: in.Model, Language: in.Language, MaxNew: think.DefaultNew, TopP: 1}
	if in.MaxNewTokens != nil {
		q.MaxNew = *in.MaxNewTokens
	}
	if in.Temperature != nil {
		q.Temperature = *in.Temperature
	}
	if in.TopP != nil {
		q.TopP = *in.TopP
	}
	q.Stream = strings.Contains(c.Request().Header.Get("Accept"), "text/event-stream")
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	defer context.AfterFunc(s.ending, cancel)()
	c.Response().Header().Set("Cache-Control", "no-store")
	if q.Stream {
		return s.thinkAloud(ctx, c, q)
	}
	var whole wholeAnswer
	if err := s.opts.Think.Ask(ctx, q, &whole); err != nil {
		return err
	}
	if whole.Outcome == think.Failed {
		failed := experiments.Errorf(experiments.CodeUnavailable, "%s", whole.Message)
		failed.Details = map[string]any{"request": whole.Request, "reason": whole.Reason}
		return failed
	}
	return sendJSON(c, http.StatusOK, whole.thinkAnswer)
}

// wholeAnswer listens to what is answered at once.
type wholeAnswer struct{ thinkAnswer }

func (w *wholeAnswer) Verdict(v think.Verdict) error { w.thinkAnswer.Verdict = v; return nil }
func (w *wholeAnswer) Text(t string) error           { w.Answer += t; return nil }
func (w *wholeAnswer) End(e think.Ending) error      { w.Ending = e; return nil }

// thinkAloud streams: the event verdict, texts, and end; or error, which withdraws the texts before it.
func (s *Server) thinkAloud(ctx context.Context, c echo.Context, q think.Query) error {
	out := &toldAnswer{c: c, out: stream{c.Response(), http.NewResponseController(c.Response()), s.opts.StallTime, false}}
	err := s.opts.Think.Ask(ctx, q, out)
	if err == nil || !out.begun {
		return err
	}
	f, hidden := failureOf(err)
	if hidden {
		s.log.Error("request failed", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
	}
	_ = out.tell("error", withdrawal{Ending: think.Ending{Outcome: think.Failed, Message: f.Message}, Withdrawn: true}) // or the client is gone
	return nil
}

// withdrawal is the data of the event error.
type withdrawal struct {
	think.Ending
	Withdrawn bool `json:"withdrawn"` // what was streamed before is to be shown no more
}

// toldAnswer sends an answer as it comes.
type toldAnswer struct {
	c     echo.Context
	out   stream
	begun bool
}

func (t *toldAnswer) tell(event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	return t.out.send("event: " + event + "\ndata: " + string(text) + "\n\n")
}

func (t *toldAnswer) Verdict(v think.Verdict) error {
	h := t.c.Response().Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	t.c.Response().WriteHeader(http.StatusOK)
	t.begun = true
	return t.tell("verdict", v)
}

func (t *toldAnswer) Text(text string) error {
	return t.tell("text", struct {
		Text string `json:"text"`
	}{text})
}

func (t *toldAnswer) End(e think.Ending) error {
	if e.Outcome == think.Withheld || e.Outcome == think.Failed {
		return t.tell("error", withdrawal{e, true})
	}
	return t.tell("end", e)
}

func (s *Server) escalations(c echo.Context) error {
	items := []think.Escalation{}
	if s.opts.Escalations != nil {
		var err error
		if items, err = s.opts.Escalations.List(); err != nil {
			return err
		}
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return sendJSON(c, http.StatusOK, list[think.Escalation]{Items: items})
}

func (s *Server) decideEscalation(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	var in decision
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	request, err := strconv.ParseInt(id, 10, 64)
	if err != nil || s.opts.Escalations == nil {
		return experiments.Errorf(experiments.CodeNotFound, "no query with the number %.40q waits", id)
	}
	if err := s.opts.Escalations.Decide(request, in.Decision, in.Note); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
