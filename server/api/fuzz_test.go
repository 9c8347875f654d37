package api

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzBodies sends any bytes as the body of every route that takes JSON. Whatever they are, the answer
// is JSON and no fault of ours.
func FuzzBodies(f *testing.F) {
	for _, b := range []string{
		`{"name":"x","tags":{"a":null}}`, `{"a":[{"step":1,"time":2,"value":"NaN"}]}`, `{"a":[{"value":1e999}]}`, `[`, `null`, `{"name":"\ud800"}`,
		`{"status":"finished"}`, `{"config":"a: 1"}`, `{"a":null}`, `{"a":[{"step":1e3,"value":1}]}`, "\xff", `{"NAME":"x"}`,
	} {
		f.Add([]byte(b))
	}
	w := newWorld(f, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, route := range [][2]string{
			{"POST", "/api/v1/experiments"}, {"PATCH", "/api/v1/experiments/" + w.exp}, {"POST", "/api/v1/runs"},
			{"PATCH", "/api/v1/runs/live"}, {"POST", "/api/v1/runs/live/metrics"}, {"POST", "/api/v1/jobs"},
		} {
			req := httptest.NewRequest(route[0], route[1], strings.NewReader(string(body)))
			req.Host = "localhost"
			req.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, req)
			if rec.Code >= 500 || rec.Code != 204 && !json.Valid(rec.Body.Bytes()) {
				t.Errorf("%s %s with %q: %d %s\n%s", route[0], route[1], body, rec.Code, rec.Body, w.log)
			}
		}
	})
}
