package api

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/store"
)

// live serves the world on a port of its own until the test ends, or stop is called.
func (w *world) live(t *testing.T) (url string, stop func() error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.Serve(ctx, ln) }()
	t.Cleanup(cancel)
	return "http://" + ln.Addr().String(), func() error { cancel(); return <-ended }
}

type sse struct {
	t     *testing.T
	lines *bufio.Scanner
	close func() error
}

func listen(t *testing.T, url string, headers ...string) *sse {
	t.Helper()
	limit, cancel := context.WithTimeout(ctx, 10*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(limit, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	return &sse{t, bufio.NewScanner(res.Body), res.Body.Close}
}

// block reads up to the next empty line; "" at the end.
func (s *sse) block() string {
	var out []string
	for s.lines.Scan() {
		if s.lines.Text() == "" {
			return strings.Join(out, "|")
		}
		out = append(out, s.lines.Text())
	}
	return ""
}

func (s *sse) want(blocks ...string) {
	s.t.Helper()
	for _, b := range blocks {
		if got := s.block(); got != b {
			s.t.Fatalf("got  %s\nwant %s", got, b)
		}
	}
}

func (w *world) logOne(v int) {
	w.t.Helper()
	if err := w.store.LogMetrics(ctx, "live", experiments.MetricBatch{"m": {{Value: float64(v)}}}); err != nil {
		w.t.Fatal(err)
	}
}

func metricBlock(id, v int) string {
	return fmt.Sprintf(`id: %d|event: metrics|data: {"m":[{"step":0,"time":0,"value":%d}]}`, id, v)
}

// newWorld leaves three events: two runs and a module.
const before = 3

func TestEventsResumeWhereTheClientLeft(t *testing.T) {
	w := newWorld(t, nil)
	url, _ := w.live(t)
	s := listen(t, url+"/api/v1/events?run_id=live")
	s.want(fmt.Sprint("retry: 2000|id: ", before))
	w.logOne(1)
	s.want(metricBlock(4, 1))
	w.store.Progress("live", "convert", experiments.Progress{Done: 1})
	s.want(`event: progress|data: {"run_id":"live","step":"convert","progress":{"done":1,"total":0,"unit":"","rate":0}}`)
	s.close()
	w.logOne(2)
	w.save(experiments.Run{ID: "other", Name: "other", Status: experiments.Running})
	w.logOne(3)

	// The header is what a browser sends by itself, and newer than the query of the page.
	s = listen(t, url+"/api/v1/events?run_id=live&last_event_id=1", "Last-Event-ID: 4")
	s.want("retry: 2000|id: 4", metricBlock(5, 2), metricBlock(7, 3))
	w.logOne(4)
	s.want(metricBlock(8, 4))
	s = listen(t, url+"/api/v1/events?last_event_id=6")
	s.want("retry: 2000|id: 6", metricBlock(7, 3), metricBlock(8, 4))
}

func TestANamedStreamSaysOfWhichRunAnEventIs(t *testing.T) {
	w := newWorld(t, nil)
	url, _ := w.live(t)
	s := listen(t, url+"/api/v1/events?named=1")
	s.want(fmt.Sprint("retry: 2000|id: ", before))
	w.logOne(1)
	w.store.Progress("live", "convert", experiments.Progress{Done: 1})
	s.want(`id: 4|event: metrics|data: {"run_id":"live","data":{"m":[{"step":0,"time":0,"value":1}]}}`,
		`event: progress|data: {"run_id":"live","data":{"run_id":"live","step":"convert","progress":{"done":1,"total":0,"unit":"","rate":0}}}`)
	s.close()
	s = listen(t, url+"/api/v1/events?named=1", "Last-Event-ID: 999")
	s.want(`retry: 2000|id: 4|event: reset|data: {}`)
}

func TestAnIDThatTheLogDoesNotReachIsReset(t *testing.T) {
	w := newWorld(t, nil)
	url, _ := w.live(t)
	s := listen(t, url+"/api/v1/events", "Last-Event-ID: 999")
	s.want(fmt.Sprintf("retry: 2000|id: %d|event: reset|data: {}", before))
	w.logOne(1)
	s.want(metricBlock(4, 1)) // and the stream goes on
}

func TestAQuietStreamHasHeartbeats(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Heartbeat = 20 * time.Millisecond })
	url, _ := w.live(t)
	s := listen(t, url+"/api/v1/events")
	s.want(fmt.Sprint("retry: 2000|id: ", before), ": heartbeat", ": heartbeat")
	w.logOne(1)
	for b := s.block(); b != metricBlock(4, 1); b = s.block() {
		if b != ": heartbeat" {
			t.Fatalf("got %s", b)
		}
	}
}

func TestStoppingTheServerEndsTheStreams(t *testing.T) {
	w := newWorld(t, nil)
	url, stop := w.live(t)
	s := listen(t, url+"/api/v1/events")
	s.want(fmt.Sprint("retry: 2000|id: ", before))
	start := time.Now()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if got := s.block(); got != "" {
		t.Errorf("after the end: %s", got)
	}
	w.check(t, scenario{method: "GET", path: "/api/v1/events", status: 503, code: un})
}

func TestAClientThatFallsBehindIsDroppedAndMissesNothing(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{WatchEvents: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := newWorld(t, func(o *Options) { o.Store = st })
	watch, err := st.Watch(ctx, store.WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.logOne(1)
	w.logOne(2)
	rec := httptest.NewRecorder()
	c := w.echo.NewContext(httptest.NewRequest("GET", "/", nil), rec)
	if err := w.follow(ctx, watch, stream{c.Response(), http.NewResponseController(rec), time.Second, false}); err != nil {
		t.Fatal(err)
	}
	if want := ": too slow; come back with Last-Event-ID\n\n"; rec.Body.String() != want {
		t.Errorf("sent %q", rec.Body)
	}
	url, _ := w.live(t)
	s := listen(t, url+"/api/v1/events", fmt.Sprint("Last-Event-ID: ", watch.LastID()))
	s.want(fmt.Sprint("retry: 2000|id: ", before), metricBlock(4, 1), metricBlock(5, 2))
}
