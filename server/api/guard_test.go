package api

import (
	"context"
	"encoding/json"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"triality/experiments"
)

func decode(t testing.TB, rec *httptest.ResponseRecorder, v any) {
	t.Helper()
	if err := json.Unmarshal(rec.Body.Bytes(), v); err != nil || rec.Code >= 300 {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
}

func TestRequestsThatOtherSitesCauseAreRefused(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.AllowOrigins = []string{"http://localhost:5173"} })
	const path, body = "/api/v1/experiments", `{"name":"x"}`
	tests := map[string]struct {
		method  string
		headers []string
		ok      bool
	}{
		"our own page":                       {"POST", []string{"Origin: http://127.0.0.1:8420", "Sec-Fetch-Site: same-origin"}, true},
		"no browser":                         {"POST", nil, true},
		"by the name localhost":              {"GET", []string{"Host: localhost:8420"}, true},
		"by IPv6":                            {"GET", []string{"Host: [::1]:8420"}, true},
		"by IPv6 without a port":             {"GET", []string{"Host: [::1]"}, true},
		"a link from elsewhere":              {"GET", []string{"Sec-Fetch-Site: cross-site"}, true},
		"the development server":             {"POST", []string{"Origin: http://localhost:5173", "Host: localhost:5173"}, true},
		"a name that leads here":             {"GET", []string{"Host: evil.example"}, false},
		"a name that looks like localhost":   {"GET", []string{"Host: localhost.evil.example:8420"}, false},
		"an address of the network":          {"GET", []string{"Host: 192.168.1.5:8420"}, false},
		"no host":                            {"GET", []string{"Host: :8420"}, false},
		"a form of another site":             {"POST", []string{"Origin: http://evil.example"}, false},
		"a page on another port":             {"POST", []string{"Origin: http://127.0.0.1:9999"}, false},
		"another name of the same machine":   {"POST", []string{"Origin: http://localhost:8420"}, false},
		"an opaque origin":                   {"POST", []string{"Origin: null"}, false},
		"the same host over https":           {"POST", []string{"Origin: https://127.0.0.1:8420"}, false},
		"another site that hides its origin": {"POST", []string{"Sec-Fetch-Site: cross-site"}, false},
		"another port that hides its origin": {"DELETE", []string{"Sec-Fetch-Site: same-site"}, false},
		"a page of another site that reads":  {"GET", []string{"Origin: http://evil.example"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := ""
			if tt.method == "POST" {
				b = strings.Replace(body, "x", name, 1)
			}
			rec := w.do(tt.method, path, b, tt.headers...)
			if got := rec.Code != 403; got != tt.ok {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
		})
	}
}

func TestListeningElsewhereIsRefused(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:8420": true, "localhost:0": true, "[::1]:80": true, "127.9.9.9:1": true,
		"0.0.0.0:8420": false, ":8420": false, "[::]:8420": false, "192.168.1.2:80": false, "example.com:80": false, "127.0.0.1": false,
	} {
		err := CheckAddress(address)
		if (err == nil) != ok || err != nil && experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: error %v, allowed %v", address, err, ok)
		}
	}
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Skip("cannot listen on every address here: ", err)
	}
	if err := newWorld(t, nil).Serve(context.Background(), ln); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("Serve on %s: error %v", ln.Addr(), err)
	}
}

func TestEveryAnswerCarriesTheSecurityHeaders(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"/", "/runs/x", "/api/v1/info", "/api/v1/nope", "/assets/app-1a2b3c.js"} {
		h := w.do("GET", path, "").Header()
		for k, want := range map[string]string{
			"Content-Security-Policy": "script-src 'self';", "X-Content-Type-Options": "nosniff",
			"X-Frame-Options": "SAMEORIGIN", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if !strings.Contains(h.Get(k), want) {
				t.Errorf("%s: %s is %q", path, k, h.Get(k))
			}
		}
	}
	for _, path := range []string{"/api/v1/runs/done/report", "/api/v1/runs/done/artifacts/abtest/results.json"} {
		if p := w.do("GET", path, "").Header().Get("Content-Security-Policy"); !strings.HasPrefix(p, "sandbox allow-scripts") || strings.Contains(p, "allow-same-origin") || !strings.Contains(p, "default-src 'none'") {
			t.Errorf("%s: policy %q", path, p)
		}
	}
}

func TestPagesAreServedAndCached(t *testing.T) {
	w := newWorld(t, nil)
	tests := map[string]struct {
		path   string
		status int
		body   string
		cache  string
		media  string
	}{
		"the front page":                {"/", 200, "INDEX", "no-cache", "text/html"},
		"a page that the script draws":  {"/runs/abc/abtest", 200, "INDEX", "no-cache", "text/html"},
		"a hashed file":                 {"/assets/app-1a2b3c.js", 200, "app()", "immutable", "text/javascript"},
		"a plain file":                  {"/favicon.svg", 200, "<svg/>", "no-cache", "image/svg+xml"},
		"a hashed file of an old build": {"/assets/app-old.js", 404, "not_found", "no-store", "application/json"},
		"a way out":                     {"/../../etc/passwd", 200, "INDEX", "no-cache", "text/html"},
		"a folder":                      {"/assets", 200, "INDEX", "no-cache", "text/html"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rec := w.do("GET", tt.path, "")
			h := rec.Header()
			if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.body) || !strings.Contains(h.Get("Cache-Control"), tt.cache) || !strings.HasPrefix(h.Get("Content-Type"), tt.media) {
				t.Errorf("%d %v %s", rec.Code, h, rec.Body)
			}
			if tt.status == 200 {
				if again := w.do("GET", tt.path, "", "If-None-Match: "+h.Get("ETag")); again.Code != 304 || h.Get("ETag") == "" {
					t.Errorf("with its ETag %q: %d", h.Get("ETag"), again.Code)
				}
				if head := w.do("HEAD", tt.path, ""); head.Code != 200 || head.Body.Len() != 0 {
					t.Errorf("HEAD: %d, %d bytes", head.Code, head.Body.Len())
				}
			}
		})
	}
}

func TestPagesThatWereNotBuiltSayHowTo(t *testing.T) {
	for name, w := range map[string]*world{
		"no folder":       newWorld(t, func(o *Options) { o.Frontend = nil }),
		"an empty folder": newWorld(t, func(o *Options) { o.Frontend = fstest.MapFS{".gitkeep": {}} }),
	} {
		rec := w.do("GET", "/runs/x", "")
		if rec.Code != 200 || !strings.Contains(rec.Body.String(), "npm --prefix frontend run build") {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
}

func TestLargeJSONIsCompressedWhereTheClientTakesIt(t *testing.T) {
	w := newWorld(t, nil)
	for accept, want := range map[string]string{"gzip": "gzip", "br, gzip;q=0.5": "gzip", "gzip;q=0": "", "": "", "br": ""} {
		rec := w.do("GET", "/api/v1/openapi.json", "", "Accept-Encoding: "+accept)
		if got := rec.Header().Get("Content-Encoding"); got != want || rec.Header().Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: encoding %q, Vary %q", accept, got, rec.Header().Get("Vary"))
		}
		if want == "" && !json.Valid(rec.Body.Bytes()) {
			t.Errorf("%q: not plain JSON", accept)
		}
	}
	if rec := w.do("GET", "/healthz", "", "Accept-Encoding: gzip"); rec.Header().Get("Content-Encoding") != "" {
		t.Error("a short answer was compressed")
	}
}

func TestArtifactsAreServedByRangeAndAsDownloads(t *testing.T) {
	w := newWorld(t, nil)
	const path = "/api/v1/runs/done/artifacts/a%20b/%E6%97%A5%E6%9C%AC.html"
	rec := w.do("GET", path, "", "Range: bytes=3-4")
	if rec.Code != 206 || rec.Body.String() != "hi" {
		t.Errorf("%d %q", rec.Code, rec.Body)
	}
	rec = w.do("GET", path+"?download=1", "")
	if d := rec.Header().Get("Content-Disposition"); !strings.HasPrefix(d, "attachment; filename*=utf-8''%E6%97%A5") {
		t.Errorf("disposition %q", d)
	}
	if rec := w.do("GET", path, "", "If-None-Match: "+rec.Header().Get("ETag")); rec.Code != 304 {
		t.Errorf("with its ETag: %d", rec.Code)
	}
	rec = w.do("GET", "/api/v1/runs/done/report?download=1", "")
	if d := rec.Header().Get("Content-Disposition"); !strings.Contains(d, "attachment") || strings.ContainsAny(d, "\r\n/") {
		t.Errorf("disposition %q", d)
	}
}
