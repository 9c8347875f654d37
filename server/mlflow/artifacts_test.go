package mlflow

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestArtifactsGoThroughTheProxy(t *testing.T) {
	w := newWorld(t)
	info := w.run(`{}`).Info
	at := "/api/2.0/mlflow-artifacts/artifacts/" + strings.TrimPrefix(info.Location, "mlflow-artifacts:/")
	for name, text := range map[string]string{"model/MLmodel": "flavors", "model/data/weights.bin": "123", "notes ü.txt": "hello", "page.html": "<script>alert(1)</script>"} {
		if status, said := w.send(http.MethodPut, at+"/"+strings.ReplaceAll(strings.ReplaceAll(name, " ", "%20"), "ü", "%C3%BC"), text); status != 200 {
			t.Fatalf("%s: %d %s", name, status, said)
		}
	}
	type listing struct {
		Root  string `json:"root_uri"`
		Files []file `json:"files"`
	}
	l := listing{}
	w.get("/artifacts/list?run_id="+info.ID, &l)
	if want := []file{{Path: "model", Dir: true}, {Path: "notes ü.txt", Size: 5}, {Path: "page.html", Size: 25}}; l.Root != info.Location || !slices.Equal(l.Files, want) {
		t.Errorf("the top: %+v", l)
	}
	l = listing{}
	w.get("/artifacts/list?run_uuid="+info.ID+"&path=model", &l)
	if want := []file{{Path: "model/MLmodel", Size: 7}, {Path: "model/data", Dir: true}}; !slices.Equal(l.Files, want) {
		t.Errorf("a folder: %+v", l)
	}
	status, text := w.send("GET", "/api/2.0/mlflow-artifacts/artifacts?path="+strings.TrimPrefix(info.Location, "mlflow-artifacts:/")+"/model", "")
	l = listing{}
	w.read("proxy", status, text, &l)
	if want := []file{{Path: "MLmodel", Size: 7}, {Path: "data", Dir: true}}; !slices.Equal(l.Files, want) {
		t.Errorf("the proxy's: %+v", l)
	}
	if status, text := w.send("GET", at+"/model/data/weights.bin", ""); status != 200 || text != "123" {
		t.Errorf("a file: %d %s", status, text)
	}
	req := httptest.NewRequest("GET", "/get-artifact?run_uuid="+info.ID+"&path=page.html", nil)
	rec := httptest.NewRecorder()
	w.e.ServeHTTP(rec, req)
	if h := rec.Header(); rec.Code != 200 || h.Get("Content-Type") != "application/octet-stream" || !strings.Contains(h.Get("Content-Security-Policy"), "sandbox") {
		t.Errorf("a page of a client's is served as %d %v", rec.Code, h)
	}
	for _, p := range []string{"/../../x", "/%2e%2e/x", "/a/%2e%2e/%2e%2e/b", "/a%5cb", "//etc/passwd", "/"} {
		if status, text := w.send(http.MethodPut, at+p, "x"); status == 200 {
			t.Errorf("%s was taken: %s", p, text)
		}
	}
	w.refused("PUT", "/api/2.0/mlflow-artifacts/artifacts/file:/etc/passwd", "x", 400, codeInvalid, "artifact_uri")
	w.refused("PUT", at+"/large", strings.Repeat("x", 1001), 413, codeTooLarge)
	w.refused("GET", at+"/nothing", "", 404, codeNotFound, "No such artifact")
	w.refused("GET", "/get-artifact?path=x", "", 400, codeInvalid, "run_id")
}
