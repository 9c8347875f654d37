package think

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/audit"
)

func put(t *testing.T, w *world, query string, at time.Time) int64 {
	t.Helper()
	e, err := w.log.Append(audit.Entry{Kind: audit.KindRequest, User: "local", Verdict: "ESCALATION"})
	if err == nil {
		err = w.waiting.Put(Escalation{Request: e.Seq, Time: at, Query: query, Verdict: "ESCALATION"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return e.Seq
}

func TestADecisionIsLoggedAndTheQueryForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{}, nil)
	one, two := put(t, w, "first query", time.Now()), put(t, w, "second query", time.Now())
	for _, c := range []struct {
		request        int64
		decision, note string
		code           experiments.Code
	}{
		{one, "keep", "", experiments.CodeInvalid},
		{one, Allow, strings.Repeat("x", MaxNote+1), experiments.CodeTooLarge},
		{99, Allow, "", experiments.CodeNotFound},
	} {
		if err := w.waiting.Decide(c.request, c.decision, c.note); experiments.CodeOf(err) != c.code {
			t.Errorf("%d %s: %v", c.request, c.decision, err)
		}
	}
	if err := w.waiting.Decide(one, Allow, "it is harmless"); err != nil {
		t.Fatal(err)
	}
	if err := w.waiting.Decide(one, Deny, ""); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("a second decision: %v", err)
	}
	all, err := w.waiting.List()
	if err != nil || len(all) != 1 || all[0].Request != two || all[0].Query != "second query" {
		t.Errorf("%+v: %v", all, err)
	}
	if got := w.entries(); len(got) != 3 || got[2] != "review ESCALATION allow" {
		t.Errorf("the log has %q", got)
	}
	if files, err := filepath.Glob(filepath.Join(w.dir, "escalations", "*")); err != nil || len(files) != 1 {
		t.Errorf("files %q: %v", files, err)
	}
}

func TestADecisionThatTheProcessDiedOverIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{}, nil)
	one, two := put(t, w, "first", time.Now()), put(t, w, "second", time.Now())
	file := filepath.Join(w.dir, "escalations", "1.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.waiting.Decide(one, Deny, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil { // as if it had not come to its removal
		t.Fatal(err)
	}
	again, err := OpenWaiting(filepath.Join(w.dir, "escalations"), w.log)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := again.List(); err != nil || len(all) != 1 || all[0].Request != two {
		t.Errorf("%+v: %v", all, err)
	}
}

func TestAQueryIsForgottenAfterItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{}, nil)
	put(t, w, "old", time.Now().Add(-Keep-time.Hour))
	put(t, w, "new", time.Now())
	if err := w.waiting.Expire(time.Now()); err != nil {
		t.Fatal(err)
	}
	all, err := w.waiting.List()
	if got := w.entries(); err != nil || len(all) != 1 || all[0].Query != "new" || len(got) != 3 || got[2] != "review ESCALATION expired" {
		t.Errorf("%+v, the log has %q: %v", all, got, err)
	}
}

func TestAQueryThatTheLogDoesNotTakeADecisionOnStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{}, nil)
	one := put(t, w, "first", time.Now())
	if err := w.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.waiting.Decide(one, Allow, ""); err == nil {
		t.Error("no error")
	}
	if all, err := w.waiting.List(); err != nil || len(all) != 1 {
		t.Errorf("%+v: %v", all, err)
	}
}
