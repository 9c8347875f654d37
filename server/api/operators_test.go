package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/store"
)

func TestHEADWorksWhereGETDoes(t *testing.T) {
	w := newWorld(t, nil)
	url, _ := w.live(t)
	ids := strings.NewReplacer("EXP", w.exp, "MOD", w.mod)
	ask := func(method, path string) *http.Response {
		req, err := http.NewRequest(method, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	for name, sc := range scenarios {
		if sc.method != "GET" || len(sc.headers) > 0 {
			continue
		}
		path := ids.Replace(sc.path)
		get, head := ask("GET", path), ask("HEAD", path)
		if get.StatusCode != head.StatusCode || get.Header.Get("Content-Type") != head.Header.Get("Content-Type") {
			t.Errorf("%s: HEAD %s gives %d %s, GET %d %s", name, path, head.StatusCode, head.Header.Get("Content-Type"), get.StatusCode, get.Header.Get("Content-Type"))
		}
		if b, err := io.ReadAll(head.Body); err != nil || len(b) > 0 {
			t.Errorf("%s: HEAD has a body of %d bytes, %v", name, len(b), err)
		}
		// Figures of the server itself change from one answer to the next.
		if n := get.ContentLength; n >= 0 && head.ContentLength >= 0 && head.ContentLength != n && sc.path != "/metrics" && sc.path != "/api/v1/info" {
			t.Errorf("%s: HEAD tells %d bytes, GET has %d", name, head.ContentLength, n)
		}
	}
}

func TestPathsThatOthersAskForAreNoPage(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/api", "/api/v2/runs", "/api/v1/nothing", "/livez", "/metrics/x", "/ready", "/debug/pprof/",
		"/.well-known/security.txt", "/.env", "/.git/config", "/favicon.ico", "/robots.txt", "/swagger/index.html", "/assets/nothing.js"} {
		for _, method := range []string{"GET", "HEAD"} {
			rec := w.do(method, path, "")
			var f Failure
			if rec.Code != 404 || json.Unmarshal(rec.Body.Bytes(), &f) != nil || f.Code != nf {
				t.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
			}
		}
	}
	for _, path := range []string{"/", "/runs/a.b", "/experiments/x", "/compare"} {
		if rec := w.do("GET", path, "", "Accept: text/html,application/xhtml+xml"); rec.Code != 200 || !strings.Contains(rec.Body.String(), "INDEX") {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	if rec := w.do("GET", "/compare", "", "Accept: application/json"); rec.Code != 404 {
		t.Errorf("a page for one who takes JSON alone: %d", rec.Code)
	}
	if rec := w.do("PUT", "/api/v1/runs", ""); rec.Code != 405 {
		t.Errorf("PUT /api/v1/runs: %d", rec.Code)
	}
}

func TestScriptsGoOutCompressed(t *testing.T) {
	script := []byte(strings.Repeat("export function f(x) { return x + 1 }\n", 5000))
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	w := newWorld(t, func(o *Options) {
		o.Frontend = fstest.MapFS{"index.html": {Data: []byte("INDEX")}, "assets/a.js": {Data: script}, "assets/p.png": {Data: noise}}
	})
	plain := w.do("GET", "/assets/a.js", "")
	for range 2 {
		rec := w.do("GET", "/assets/a.js", "", "Accept-Encoding: br, gzip")
		h := rec.Header()
		if h.Get("Content-Encoding") != "gzip" || !strings.Contains(h.Get("Vary"), "Accept-Encoding") || h.Get("Content-Type") != "text/javascript; charset=utf-8" {
			t.Fatalf("%d %v", rec.Code, h)
		}
		if rec.Body.Len() > len(script)/10 || h.Get("Content-Length") != fmt.Sprint(rec.Body.Len()) {
			t.Errorf("%d bytes of %d, length %s", rec.Body.Len(), len(script), h.Get("Content-Length"))
		}
		if h.Get("ETag") == plain.Header().Get("ETag") {
			t.Error("the compressed and the plain file have one ETag")
		}
		if again := w.do("GET", "/assets/a.js", "", "Accept-Encoding: gzip", "If-None-Match: "+h.Get("ETag")); again.Code != 304 {
			t.Errorf("asked again: %d", again.Code)
		}
		z, err := gzip.NewReader(rec.Body)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || !bytes.Equal(b, script) {
			t.Errorf("unpacked to %d bytes, %v", len(b), err)
		}
	}
	if plain.Header().Get("Content-Encoding") != "" || !bytes.Equal(plain.Body.Bytes(), script) {
		t.Error("who does not ask for it gets the script compressed")
	}
	if rec := w.do("GET", "/assets/p.png", "", "Accept-Encoding: gzip"); rec.Header().Get("Content-Encoding") != "" {
		t.Error("what does not shrink is compressed")
	}
}

func TestARequestWithAKeyIsDoneOnce(t *testing.T) {
	w := newWorld(t, nil)
	for name, sc := range map[string]scenario{
		"points":        {method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"value":1}]}`, status: 204},
		"a run":         {method: "POST", path: "/api/v1/runs", body: `{"experiment_id":"EXP","name":"n"}`, status: 201},
		"an experiment": {method: "POST", path: "/api/v1/experiments", body: `{"name":"new"}`, status: 201},
		"a deletion":    {method: "DELETE", path: "/api/v1/runs/done", status: 204},
	} {
		t.Run(name, func(t *testing.T) {
			ids := strings.NewReplacer("EXP", w.exp)
			var bodies []string
			for n, replayed := range []string{"", "true", "true"} {
				rec := w.do(sc.method, sc.path, ids.Replace(sc.body), "Idempotency-Key: "+name)
				if rec.Code != sc.status || rec.Header().Get("Idempotency-Replayed") != replayed {
					t.Fatalf("time %d: %d %v %s", n, rec.Code, rec.Header(), rec.Body)
				}
				bodies = append(bodies, rec.Body.String())
			}
			if strings.Split(bodies[0], `"created_at"`)[0] != strings.Split(bodies[2], `"created_at"`)[0] {
				t.Errorf("first %s\nthen %s", bodies[0], bodies[2])
			}
		})
	}
	if infos, err := w.store.Series(ctx, "live"); err != nil || infos[0].Count != 1 {
		t.Errorf("series %v, %v", infos, err)
	}
	w.check(t, scenario{method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"value":2}]}`, headers: []string{"Idempotency-Key: points"}, status: 409, code: cf, has: []string{"another request"}})
	w.check(t, scenario{method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"value":2}]}`, headers: []string{"Idempotency-Key: " + strings.Repeat("k", 256)}, status: 400, code: iv, has: []string{"Idempotency-Key", "UUID"}})
}

func TestAnUnknownOutcomeHasAStatusOfItsOwn(t *testing.T) {
	f, hidden := failureOf(fmt.Errorf("x: %w", experiments.Errorf(experiments.CodeUnknown, "whether this write is stored is unknown")))
	if hidden || f.Code != experiments.CodeUnknown || !strings.Contains(f.Message, "unknown") {
		t.Errorf("%+v", f)
	}
	for code, status := range statusOf {
		if code != experiments.CodeUnknown && status == statusOf[experiments.CodeUnknown] {
			t.Errorf("%s has status %d too", code, status)
		}
	}
}

func TestAPointWithoutATimeIsOfNow(t *testing.T) {
	w := newWorld(t, nil)
	before := time.Now().UnixMilli()
	w.check(t, scenario{method: "POST", path: "/api/v1/runs/live/metrics", body: `{"a":[{"step":1,"value":1}],"b":[{"step":1,"time":0,"value":1}]}`, status: 204})
	infos, err := w.store.Series(ctx, "live")
	if err != nil || len(infos) != 2 {
		t.Fatal(infos, err)
	}
	if at := infos[0].Last.Time; at < before || at > time.Now().UnixMilli() {
		t.Errorf("time %d", at)
	}
	if infos[1].Last.Time != 0 {
		t.Errorf("a time that was given became %d", infos[1].Last.Time)
	}
}

func TestAFullDiskIsToldToOperators(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=16m", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("no small file system can be mounted here: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	w := newWorld(t, func(o *Options) {
		var err error
		if o.Store, err = store.Open(dir, store.Options{Logger: o.Logger}); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { w.store.Close() })
	w.check(t, scenario{method: "GET", path: "/healthz", status: 200})
	ballast := dir + "/ballast"
	if err := os.WriteFile(ballast, make([]byte, 20<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	batch := make([]experiments.Point, 100_000)
	for i := range batch {
		batch[i].Step = int64(i)
	}
	err := w.store.LogMetrics(ctx, "live", experiments.MetricBatch{"m": batch})
	if experiments.CodeOf(err) != un || !strings.Contains(err.Error(), "nothing of this write was stored") {
		t.Fatal(err)
	}
	if log := w.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "no space") {
		t.Errorf("logged %s", log)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		w.check(t, scenario{method: "GET", path: path, status: 503, code: un})
	}
	w.check(t, scenario{method: "GET", path: "/metrics", status: 200, has: []string{"\ntriality_store_healthy 0\n"}})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); w.do("GET", "/healthz", "").Code != 200; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server does not notice that there is room again")
		}
	}
	if err := w.store.LogMetrics(ctx, "live", experiments.MetricBatch{"m": batch}); err != nil {
		t.Error(err)
	}
}

func TestADiskErrorIsToldToOperators(t *testing.T) {
	dir := t.TempDir()
	w := newWorld(t, func(o *Options) {
		var err error
		if o.Store, err = store.Open(dir, store.Options{Logger: o.Logger}); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { w.store.Close() })
	t.Cleanup(disk.Watch(dir, func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpSync {
			return errors.New("input/output error")
		}
		return do()
	}))
	w.check(t, scenario{method: "PUT", path: "/api/v1/runs/live/artifacts/f", body: "text", headers: []string{"Content-Type: text/plain"}, status: 500, code: in})
	if log := w.log.String(); !strings.Contains(log, "input/output error") || !strings.Contains(log, dir) {
		t.Errorf("logged %s", log)
	}
	w.check(t, scenario{method: "GET", path: "/healthz", status: 503, code: un, has: []string{"input/output error"}})
}

func TestAReaderThatStandsStillIsDroppedAndHoldsLittle(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.StallTime = 100 * time.Millisecond })
	url, _ := w.live(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	conn.Read(make([]byte, 1)) // the answer has begun; nothing more is read
	for deadline := time.Now().Add(20 * time.Second); w.store.Stats().EventStreams == 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	batch := experiments.MetricBatch{"m": make([]experiments.Point, 2000)}
	for n := int64(0); ; n++ {
		if w.store.Stats().EventStreams == 0 {
			return
		}
		if n > 3000 {
			t.Fatal("the reader is still there")
		}
		for i := range batch["m"] {
			batch["m"][i].Step = n*2000 + int64(i)
		}
		if err := w.store.LogMetrics(ctx, "live", batch); err != nil {
			t.Fatal(err)
		}
	}
}

// allocated is how many bytes f takes from the heap.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAReportIsBoundedInBytes(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxArtifactBytes = 64 << 20 })
	put := func(path, text string) {
		t.Helper()
		if rec := w.do("PUT", "/api/v1/runs/live/artifacts/"+path, text); rec.Code != 201 {
			t.Fatal(rec.Body)
		}
	}
	many := func(before, item, after string, bytes int) string {
		return before + strings.Repeat(item+",", bytes/(len(item)+1)) + item + after
	}
	for name, tt := range map[string]struct {
		path, text string
		status     int
	}{
		"rows on which the arms agree":      {artifactAB, many(`{"samples":[`, `{}`, `]}`, 4_200_000), 200},
		"rows on which the arms disagree":   {artifactAB, many(`{"samples":[`, `{"prediction_a":"x"}`, `]}`, 20_000_000), 413},
		"results of metrics":                {artifactAB, many(`{"metrics":[`, `{}`, `]}`, 4_200_000), 413},
		"results that are null":             {artifactAB, many(`{"metrics":[`, `null`, `]}`, 4_200_000), 413},
		"parameters of a metric":            {artifactAB, many(`{"metrics":[{"params":{"a":[`, `0`, `]}}]}`, 4_200_000), 413},
		"splits of a data set":              {artifactData, many(`{"splits":[`, `{}`, `]}`, 4_200_000), 413},
		"domains of a data set":             {artifactData, `{"domains":{` + strings.Repeat(`"x":{},`, 10) + `"y":{}}}`, 200},
		"a result that is no JSON":          {artifactAB, `{"samples":[{}`, 400},
		"a result whose rows are no list":   {artifactAB, `{"samples":7}`, 200},
		"a result that is no object at all": {artifactAB, `7`, 400},
	} {
		t.Run(name, func(t *testing.T) {
			put(artifactAB, "{}")
			put(artifactData, "{}")
			put(tt.path, tt.text)
			var status int
			got := allocated(func() { status = w.do("GET", "/api/v1/runs/live/report", "").Code })
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if limit := uint64(150<<20 + 12*len(tt.text)); got > limit {
				t.Errorf("%d MB allocated for %d bytes", got>>20, len(tt.text))
			}
		})
	}
}

func TestAReportOfManySeriesLeavesSomeOutAndSaysSo(t *testing.T) {
	w := newWorld(t, nil)
	batch := experiments.MetricBatch{"train/loss": {{Step: 1}}}
	for i := range reportSeries + 50 {
		batch[fmt.Sprint("layer/", i)] = []experiments.Point{{Step: 1}}
	}
	if err := w.store.LogMetrics(ctx, "live", batch); err != nil {
		t.Fatal(err)
	}
	input, err := ReportInput(context.Background(), w.store, "live")
	if err != nil || len(input.Series) != reportSeries || input.OmittedSeries != 51 || input.Series["train/loss"] == nil {
		t.Errorf("%d series, %d omitted, %v", len(input.Series), input.OmittedSeries, err)
	}
}
