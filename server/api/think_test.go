package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/think"
)

// answers is a gate whose answers are planned.
type answers struct {
	verdict string
	texts   []string
	end     think.Ending
	err     error // behind the texts
	early   bool  // err comes before the verdict
	panics  bool
	asked   think.Query
	stopped chan struct{} // closed when the context of one that waits ends
}

func (a *answers) Ask(ctx context.Context, q think.Query, to think.Listener) error {
	if a.asked = q; a.early {
		return a.err
	}
	if err := to.Verdict(think.Verdict{Request: 7, Model: "m", Hash: "ab", Judgement: think.Judgement{Verdict: a.verdict, Scores: map[string]float64{"ALLOW": 1}}}); err != nil {
		return err
	}
	for _, t := range a.texts {
		if err := to.Text(t); err != nil {
			return err
		}
	}
	switch {
	case a.panics:
		panic("zebra")
	case a.stopped != nil:
		<-ctx.Done()
		close(a.stopped)
		return ctx.Err()
	case a.err != nil:
		return a.err
	}
	return to.End(a.end)
}

func TestAnAnswerIsGivenWholeOrAsItComes(t *testing.T) {
	answered := think.Ending{Outcome: think.Answered}
	for name, c := range map[string]struct {
		a              *answers
		status         int
		whole, streams string
	}{
		"an answer": {&answers{verdict: "ALLOW", texts: []string{"Fo", "ur\n"}, end: answered}, 200,
			`"answer":"Four\n"`, "event: text\ndata: {\"text\":\"Fo\"}\n\nevent: text\ndata: {\"text\":\"ur\\n\"}\n\nevent: end\ndata: {\"outcome\":\"answered\"}\n\n"},
		"a refusal": {&answers{verdict: "REFUSE", texts: []string{"No."}, end: think.Ending{Outcome: think.Refused}}, 200, `"outcome":"refused"`, "event: end"},
		"one that is withheld": {&answers{verdict: "ALLOW", end: think.Ending{Outcome: think.Withheld, Reason: "cut", Message: "cut off"}}, 200,
			`"reason":"cut"`, "event: error\ndata: {\"outcome\":\"withheld\",\"reason\":\"cut\",\"message\":\"cut off\",\"withdrawn\":true}\n\n"},
		"one that fails": {&answers{verdict: "ALLOW", end: think.Ending{Outcome: think.Failed, Reason: "process", Message: "it is gone"}}, 503,
			`"message":"it is gone"`, `"withdrawn":true`},
		"a log that refuses": {&answers{verdict: "ALLOW", texts: []string{"Fo"}, err: experiments.Errorf(experiments.CodeUnavailable, "the log refuses")}, 503,
			"the log refuses", `event: error` + "\n" + `data: {"outcome":"failed","message":"the log refuses","withdrawn":true}`},
		"a fault that is ours": {&answers{verdict: "ALLOW", texts: []string{"Fo"}, err: fmt.Errorf("quartz")}, 500, "internal error", "internal error"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Think = c.a })
			for _, path := range []string{"/think", "/api/v1/think"} {
				res := w.do("POST", path, `{"query":"q","max_new_tokens":9,"temperature":0.5,"top_p":0.9,"model":"x","language":"ja"}`)
				if res.Code != c.status || !strings.Contains(res.Body.String(), c.whole) || strings.Contains(res.Body.String(), "quartz") {
					t.Errorf("%s: %d %s", path, res.Code, res.Body)
				}
				if want := (think.Query{Text: "q", Model: "x", Language: "ja", MaxNew: 9, Temperature: 0.5, TopP: 0.9}); c.a.asked != want {
					t.Errorf("asked %+v", c.a.asked)
				}
			}
			res := w.do("POST", "/think", `{"query":"q"}`, "Accept: text/event-stream")
			body := res.Body.String()
			if res.Code != 200 || res.Header().Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(body, "event: verdict\ndata: {\"request\":7,") || !strings.Contains(body, c.streams) || strings.Contains(body, "quartz") {
				t.Errorf("%d %s", res.Code, body)
			}
			if want := (think.Query{Text: "q", MaxNew: think.DefaultNew, TopP: 1, Stream: true}); c.a.asked != want {
				t.Errorf("asked %+v", c.a.asked)
			}
		})
	}
}

func TestWhatCannotBeAskedIsRefusedBeforeAStreamBegins(t *testing.T) {
	full := &answers{early: true, err: experiments.Errorf(experiments.CodeUnavailable, "16 queries wait already")}
	for name, c := range map[string]struct {
		a      Think
		body   string
		status int
	}{
		"no model":         {nil, `{"query":"q"}`, 503},
		"too many":         {full, `{"query":"q"}`, 503},
		"another field":    {full, `{"query":"q","stop":"x"}`, 400},
		"no JSON":          {full, `query`, 400},
		"a body too large": {full, `{"query":"` + strings.Repeat("x", maxThinkBody) + `"}`, 413},
	} {
		w := newWorld(t, func(o *Options) { o.Think = c.a })
		for _, accept := range []string{"application/json", "text/event-stream"} {
			if res := w.do("POST", "/think", c.body, "Accept: "+accept); res.Code != c.status || !json.Valid(res.Body.Bytes()) {
				t.Errorf("%s: %d %s", name, res.Code, res.Body)
			}
		}
	}
	w := newWorld(t, func(o *Options) { o.Think = full })
	if res := w.do("POST", "/think", `{"query":"q"}`, "Origin: http://elsewhere.example"); res.Code != 403 {
		t.Errorf("of another site: %d", res.Code)
	}
}

func TestWhoHangsUpStopsTheAnswer(t *testing.T) {
	a := &answers{verdict: "ALLOW", texts: []string{"Fo"}, stopped: make(chan struct{})}
	w := newWorld(t, func(o *Options) { o.Think = a })
	url, stop := w.live(t)
	limit, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(limit, "POST", url+"/think", strings.NewReader(`{"query":"q"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "text/event-stream")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	res.Body.Close()
	select {
	case <-a.stopped:
	case <-time.After(20 * time.Second):
		t.Error("it is answered on")
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// waiting is a queue of escalations.
type waiting struct{ items []think.Escalation }

func (w *waiting) List() ([]think.Escalation, error) { return w.items, nil }

func (w *waiting) Decide(request int64, decision, note string) error {
	if decision != "allow" || note != "n" {
		return experiments.Errorf(experiments.CodeInvalid, "decision: want allow or deny")
	}
	for i, e := range w.items {
		if e.Request == request {
			w.items = append(w.items[:i], w.items[i+1:]...)
			return nil
		}
	}
	return experiments.Errorf(experiments.CodeNotFound, "it does not wait")
}

func TestEscalationsAreListedAndDecidedOn(t *testing.T) {
	q := &waiting{[]think.Escalation{{Request: 5, Query: "may <b>I</b>?"}}}
	w := newWorld(t, func(o *Options) { o.Escalations = q })
	var info infoAnswer
	decode(t, w.do("GET", "/api/v1/info", ""), &info)
	if !info.Escalations {
		t.Error("the server does not say that queries may wait")
	}
	if res := w.do("GET", "/api/v1/escalations", ""); res.Code != 200 || !strings.Contains(res.Body.String(), `"request":5`) {
		t.Errorf("%d %s", res.Code, res.Body)
	}
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"5", `{"decision":"maybe"}`, 400}, {"6", `{"decision":"allow","note":"n"}`, 404}, {"x", `{"decision":"allow","note":"n"}`, 404},
		{"5", `{"decision":"allow","note":"n"}`, 204}, {"5", `{"decision":"allow","note":"n"}`, 404},
	} {
		if res := w.do("POST", "/api/v1/escalations/"+c.path+"/decision", c.body); res.Code != c.status {
			t.Errorf("%s %s: %d %s", c.path, c.body, res.Code, res.Body)
		}
	}
	none := newWorld(t, func(o *Options) { o.Escalations = nil })
	decode(t, none.do("GET", "/api/v1/info", ""), &info)
	if res := none.do("GET", "/api/v1/escalations", ""); res.Code != 200 || info.Escalations {
		t.Errorf("without any: %d %+v", res.Code, info)
	}
	if res := none.do("POST", "/api/v1/escalations/5/decision", `{"decision":"allow"}`); res.Code != 404 {
		t.Errorf("without any: %d", res.Code)
	}
}
