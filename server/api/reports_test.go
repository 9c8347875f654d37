package api

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"triality/experiments"
)

type captureDocument struct {
	capture
	doc *experiments.ReportDocument
}

func (c captureDocument) RenderDocument(_ context.Context, d experiments.ReportDocument, w io.Writer) error {
	*c.doc = d
	_, err := io.WriteString(w, "<html>the document")
	return err
}

const someReport = `{"title":"r","body":{"language":"ja","blocks":[{"kind":"prose","text":"# x"},{"kind":"verdict","run":"done"},{"kind":"data","run":"gone"},{"kind":"runs","runs":["done","live","gone"],"metrics":["eval/f1"]}]}}`

func TestAReportIsWrittenSharedAndWithdrawn(t *testing.T) {
	var doc experiments.ReportDocument
	var logged strings.Builder
	w := newWorld(t, func(o *Options) {
		o.Reporter = captureDocument{capture{&experiments.ReportInput{}}, &doc}
		o.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
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
	var made wholeReport
	do("POST", "/api/v1/reports", someReport, 201, &made)
	at := "/api/v1/reports/" + made.ID
	rec := do("GET", at+"/html", "", 200, nil)
	if doc.Title != "r" || doc.Body.Language != "ja" || len(doc.Inputs) != 1 || doc.Inputs["done"].AB == nil || len(doc.Runs) != 2 {
		t.Errorf("%+v", doc)
	}
	if p := rec.Header().Get("Content-Security-Policy"); !strings.HasPrefix(p, "sandbox allow-scripts") || strings.Contains(p, "allow-same-origin") || !strings.Contains(p, "default-src 'none'") {
		t.Errorf("policy %q", p)
	}

	var share, other reportShare
	do("POST", at+"/shares", "", 201, &share)
	do("POST", at+"/shares", "", 201, &other)
	secret, ok := strings.CutPrefix(share.Path, "/shared/")
	if !ok || len(secret) < 43 {
		t.Fatalf("%+v", share)
	}
	rec = do("GET", share.Path, "", 200, nil)
	if h := rec.Header(); !strings.Contains(rec.Body.String(), "the document") || h.Get("Content-Security-Policy") != foreignPolicy || h.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %v", rec.Body, rec.Header())
	}
	var again wholeReport
	if rec := do("GET", at, "", 200, &again); strings.Contains(rec.Body.String(), secret) || len(again.Shares) != 2 || again.Shares[0].Path != "" || again.Revision != 1 {
		t.Errorf("a link's secret is told again: %s", rec.Body)
	}
	for _, path := range []string{"/shared/" + secret[1:], "/shared/" + made.ID, "/shared/x", "/shared/" + share.ID} {
		do("GET", path, "", 404, nil)
	}
	do("DELETE", at+"/shares/"+share.ID, "", 204, nil)
	do("GET", share.Path, "", 404, nil)
	do("GET", other.Path, "", 200, nil)
	do("DELETE", at+"/shares/"+share.ID, "", 404, nil)

	do("PATCH", at, `{"title":"s"}`, 200, &again, `If-Match: "1"`)
	if again.Revision != 2 || again.Title != "s" || len(again.Body.Blocks) != 4 || len(again.Shares) != 1 {
		t.Errorf("%+v", again)
	}
	if rec := do("PATCH", at, `{"title":"t"}`, 412, nil, `If-Match: "1"`); !strings.Contains(rec.Body.String(), `"revision":2`) {
		t.Error(rec.Body)
	}
	do("DELETE", at, "", 412, nil, `If-Match: "1"`)
	do("DELETE", at, "", 204, nil, `If-Match: "2"`)
	do("GET", at, "", 404, nil)
	do("GET", other.Path, "", 404, nil)
	var kept list[wholeReport]
	if do("GET", "/api/v1/reports?deleted=true", "", 200, &kept); len(kept.Items) != 1 {
		t.Errorf("%+v", kept)
	}
	do("POST", at+"/restore", "", 200, nil)
	do("POST", at+"/restore", "", 404, nil)
	do("GET", other.Path, "", 200, nil)
	if strings.Contains(logged.String(), secret) || !strings.Contains(logged.String(), "/shared/…") {
		t.Error("the log holds a link's secret, or no request")
	}
}

func TestAReportThatIsSentAgainIsMadeOnce(t *testing.T) {
	w := newWorld(t, nil)
	var ids []string
	for range 2 {
		var made wholeReport
		decode(t, w.do("POST", "/api/v1/reports", someReport, "Idempotency-Key: k"), &made)
		ids = append(ids, made.ID)
	}
	if ids[0] == "" || ids[0] != ids[1] {
		t.Errorf("%q", ids)
	}
}

func TestAReportThatIsWrongIsRefusedWithItsPlace(t *testing.T) {
	w := newWorld(t, nil)
	for name, tt := range map[string]struct{ body, has string }{
		"no body":              {`{"title":"r"}`, "body is missing"},
		"no title":             {`{"title":" ","body":{"language":"en","blocks":[]}}`, "report"},
		"another language":     {`{"title":"r","body":{"language":"fr","blocks":[]}}`, "body.language"},
		"an unknown kind":      {`{"title":"r","body":{"language":"en","blocks":[{"kind":"prose"},{"kind":"pie"}]}}`, "body.blocks[1]"},
		"a section of no run":  {`{"title":"r","body":{"language":"en","blocks":[{"kind":"verdict"}]}}`, "run is missing"},
		"no runs":              {`{"title":"r","body":{"language":"en","blocks":[{"kind":"runs"}]}}`, "runs is empty"},
		"an unknown field":     {`{"title":"r","body":{"language":"en","blocks":[{"kind":"prose","html":"x"}]}}`, "html"},
		"more metrics":         {`{"title":"r","body":{"language":"en","blocks":[{"kind":"runs","runs":["a"],"metrics":["1","2","3","4","5","6","7","8","9"]}]}}`, "at most 8"},
		"curves of nothing":    {`{"title":"r","body":{"language":"en","blocks":[{"kind":"curves","runs":["a"]}]}}`, "metrics is empty"},
		"curves of many runs":  {`{"title":"r","body":{"language":"en","blocks":[{"kind":"curves","metrics":["m"],"runs":["1","2","3","4","5","6","7","8","9","10","11"]}]}}`, "at most 10"},
		"a pair of three":      {`{"title":"r","body":{"language":"en","blocks":[{"kind":"paired","runs":["a","b","c"]}]}}`, "want two"},
		"a pair of one":        {`{"title":"r","body":{"language":"en","blocks":[{"kind":"paired","runs":["a"]}]}}`, "want two"},
		"an arm that is none":  {`{"title":"r","body":{"language":"en","blocks":[{"kind":"paired","runs":["a","b"],"arms":["A","C"]}]}}`, "body.blocks[0]: arms"},
		"one arm":              {`{"title":"r","body":{"language":"en","blocks":[{"kind":"paired","runs":["a","b"],"arms":["A"]}]}}`, "body.blocks[0]: arms"},
		"many pairs":           {`{"title":"r","body":{"language":"en","blocks":[` + strings.Repeat(`{"kind":"paired","runs":["a","b"]},`, experiments.MaxReportPairs) + `{"kind":"paired","runs":["a","b"]}]}}`, "at most 10"},
		"too many curves":      {`{"title":"r","body":{"language":"en","blocks":[` + strings.Repeat(`{"kind":"curves","runs":["1","2","3","4","5","6","7","8","9","10"],"metrics":["1","2","3","4","5","6","7","8"]},`, 5) + `{"kind":"curves","runs":["a"],"metrics":["m"]}]}}`, "at most 400"},
		"prose that is a book": {`{"title":"r","body":{"language":"en","blocks":[{"kind":"prose","text":"` + strings.Repeat("x", experiments.MaxProse+1) + `"}]}}`, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			if rec := w.do("POST", "/api/v1/reports", tt.body); rec.Code != 400 || !strings.Contains(rec.Body.String(), tt.has) {
				t.Errorf("%d %.300s", rec.Code, rec.Body)
			}
		})
	}
}

func TestAReportComparesRunsOnTheRowsThatBothJudgedAndDrawsTheirCurves(t *testing.T) {
	var doc experiments.ReportDocument
	w := newWorld(t, func(o *Options) { o.Reporter = captureDocument{capture{&experiments.ReportInput{}}, &doc} })
	right := func(i int) string { return experiments.Labels[i%4] }
	w.judgedRun("x", 40, func(int) string { return "REFUSE" })
	w.judgedRun("y", 60, right)
	var points []string
	for i := range 3 * documentPoints {
		points = append(points, fmt.Sprintf(`{"step":%d,"value":%d}`, i, i%7))
	}
	if rec := w.do("POST", "/api/v1/runs/y/metrics", `{"loss":[`+strings.Join(points, ",")+`]}`); rec.Code >= 300 {
		t.Fatal(rec.Body)
	}
	var made wholeReport
	decode(t, w.do("POST", "/api/v1/reports", `{"title":"r","body":{"language":"en","blocks":[{"kind":"paired","runs":["x","y"]},{"kind":"paired","runs":["y","y"],"arms":["A","B"]},
		{"kind":"paired","runs":["x","live"]},{"kind":"paired","runs":["gone","x"]},{"kind":"curves","runs":["y","x","gone"],"metrics":["loss","none"]}]}}`), &made)
	if rec := w.do("GET", "/api/v1/reports/"+made.ID+"/html", ""); rec.Code != 200 {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	of := func(a, armA, b, armB string) experiments.ReportPair {
		return doc.Pairs[[2]experiments.ReportSide{{Run: a, Arm: armA}, {Run: b, Arm: armB}}]
	}
	p := of("x", "B", "y", "B")
	if p.Result.Rows != 40 || p.OnlyB != 20 || p.Names != [2]string{"run x", "run y"} || p.Models[1] != "tuned-y" || p.Result.McNemar.OnlyB != 30 || p.BothRight != 10 || len(p.Result.Samples) != 30 || p.Result.Inference.Of("accuracy") == nil {
		t.Errorf("%+v", p)
	}
	if own := of("y", "A", "y", "B"); own.Result.Rows != 60 || own.Result.McNemar.OnlyB != 45 {
		t.Errorf("%+v", own)
	}
	if len(doc.Pairs) != 2 {
		t.Errorf("a run that is gone, or has no A/B test, is in a pair: %v", doc.Pairs)
	}
	if y := doc.Series["y"]; len(y) != 1 || len(y["loss"]) < 2 || len(y["loss"]) > documentPoints || len(doc.Series["x"]) != 0 || len(doc.Runs) != 3 {
		t.Errorf("%d points of %d metrics; runs %d", len(y["loss"]), len(y), len(doc.Runs))
	}
	var all list[wholeReport]
	if decode(t, w.do("GET", "/api/v1/reports", ""), &all); len(all.Items) != 1 || all.Items[0].Blocks != 5 || made.Blocks != 5 || all.Items[0].Body.Blocks != nil {
		t.Errorf("%+v", all)
	}
}
