package api

import "testing"

func TestANotebookThatHasNotChangedIsNotSentAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.check(t, scenario{method: "GET", path: "/api/v1/notebooks/a.md", headers: []string{`If-None-Match: "` + bookRevision + `"`}, status: 304})
	w.check(t, scenario{method: "GET", path: "/api/v1/notebooks/a.md", headers: []string{`If-None-Match: "00"`}, status: 200})
}
