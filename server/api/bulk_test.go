package api

import (
	"net/http"
	"strings"
	"testing"

	"triality/experiments"
	"triality/server/store"
)

func TestWhatIsDeletedComesBackByItsToken(t *testing.T) {
	for _, path := range []string{"/api/v1/runs/done", "/api/v1/experiments/EXP"} {
		w := newWorld(t, nil)
		if strings.Contains(path, "EXP") {
			w.save(experiments.Run{ID: "live", Name: "live", Status: experiments.Finished})
		}
		path = strings.ReplaceAll(path, "EXP", w.exp)
		before := w.do("GET", "/api/v1/runs/done", "").Body.String()
		key := "Idempotency-Key: once"
		rec := w.do("DELETE", path, "", key)
		token := rec.Header().Get(undoHeader)
		if rec.Code != http.StatusNoContent || token == "" {
			t.Fatalf("%d, token %q: %s", rec.Code, token, rec.Body)
		}
		if again := w.do("DELETE", path, "", key); again.Code != http.StatusNoContent || again.Header().Get(undoHeader) != token {
			t.Errorf("sent again: %d, token %q, want %q", again.Code, again.Header().Get(undoHeader), token)
		}
		for _, gone := range []string{"/api/v1/runs/done", "/api/v1/runs/done/metrics", "/api/v1/runs/done/artifacts", "/api/v1/runs/done/artifacts/a%20b/%E6%97%A5%E6%9C%AC.html", "/api/v1/runs/done/abtest", "/api/v1/runs/done/report", "/api/v1/runs/done/log"} {
			if rec := w.do("GET", gone, ""); rec.Code != http.StatusNotFound {
				t.Errorf("%s: %d", gone, rec.Code)
			}
		}
		w.check(t, scenario{method: "POST", path: "/api/v1/undo/" + token, body: `{}`, status: 200, has: []string{`"state":"undone"`}})
		if now := w.do("GET", "/api/v1/runs/done", "").Body.String(); now != before {
			t.Errorf("it is\n%s\nwas\n%s", now, before)
		}
		w.check(t, scenario{method: "GET", path: "/api/v1/runs/done/artifacts/a%20b/%E6%97%A5%E6%9C%AC.html", status: 200, has: []string{"<p>hi"}})
		w.check(t, scenario{method: "POST", path: "/api/v1/undo/" + token, body: `{}`, status: 409, code: cf, has: []string{"undone already"}})
		if rec := w.do("DELETE", path+"?purge=true", ""); rec.Code != http.StatusNoContent || rec.Header().Get(undoHeader) != "" {
			t.Errorf("for good: %d, token %q", rec.Code, rec.Header().Get(undoHeader))
		}
	}
}

func TestABulkChangeThatIsSentAgainIsDoneOnce(t *testing.T) {
	w := newWorld(t, nil)
	body := `{"where":{"filter":"status = finished","expected":1},"action":"delete"}`
	var first, again store.Change
	decode(t, w.do("POST", "/api/v1/runs/bulk", body, "Idempotency-Key: k"), &first)
	rec := w.do("POST", "/api/v1/runs/bulk", body, "Idempotency-Key: k") // none match any more
	decode(t, rec, &again)
	if again.Token != first.Token || again.Changed != 1 || rec.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("%+v, then %+v", first, again)
	}
	for range 2 { // an undo too
		rec = w.do("POST", "/api/v1/undo/"+first.Token, `{}`, "Idempotency-Key: u")
		if rec.Code != 200 || !strings.Contains(rec.Body.String(), `"state":"undone"`) {
			t.Errorf("%d %s", rec.Code, rec.Body)
		}
	}
}
