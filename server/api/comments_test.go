package api

import (
	"net/http/httptest"
	"strings"
	"testing"

	"triality/experiments"
	"triality/server/store"
)

func TestACommentIsMadeOnceDeletedAndTakenBack(t *testing.T) {
	w := newWorld(t, nil)
	do := func(method, path, body string, status int, into any, headers ...string) *httptest.ResponseRecorder {
		t.Helper()
		rec := w.do(method, path, body, headers...)
		if rec.Code != status {
			t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
		}
		if into != nil {
			decode(t, rec, into)
		}
		return rec
	}
	const said = `{"book":"a.md","cell":"tune","author":"Mika","text":"Why 8?"}`
	var made, again store.Comment
	do("POST", "/api/v1/comments", said, 201, &made, "Idempotency-Key: k1")
	if rec := do("POST", "/api/v1/comments", said, 201, &again, "Idempotency-Key: k1"); again.ID != made.ID || rec.Header().Get(replayedHeader) != "true" {
		t.Errorf("%+v, then %+v", made, again)
	}
	at := "/api/v1/comments/" + made.ID
	do("DELETE", at, "", 204, nil, `If-Match: "1"`)
	var listed list[store.Comment]
	do("GET", "/api/v1/comments?book=a.md&deleted=true", "", 200, &listed)
	if len(listed.Items) != 1 || listed.Items[0].Deleted.IsZero() {
		t.Errorf("%+v", listed)
	}
	do("PATCH", at, `{"text":"x"}`, 404, nil)
	if rec := do("POST", at+"/restore", "", 200, &again); rec.Header().Get("ETag") != `"3"` || !again.Deleted.IsZero() || again.Text != "Why 8?" {
		t.Errorf("%+v %v", again, rec.Header())
	}
}

func TestAnEventTellsWhoHasANotebookOpen(t *testing.T) {
	w := newWorld(t, nil)
	watch, err := w.store.Watch(ctx, store.WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	if rec := w.do("POST", "/api/v1/presence", `{"book":"a.md","window":"window-1","name":"Mika","colour":3,"cell":"a"}`); rec.Code != 200 {
		t.Fatal(rec.Body)
	}
	ev, err := watch.Next(ctx)
	if err != nil || ev.Type != experiments.EventPresence || ev.ID != 0 || !strings.Contains(string(ev.Data), `"book":"a.md"`) || !strings.Contains(string(ev.Data), `"name":"Mika"`) {
		t.Errorf("%+v %s %v", ev, ev.Data, err)
	}
}
