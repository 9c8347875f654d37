package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
)

// site serves the built pages. Paths that may be a page's get index.html, whose script routes them.
type site struct {
	files fs.FS
	tags  *sync.Map // file → ETag
	small *sync.Map // file → its bytes compressed, nil where that does not pay
}

func newSite(files fs.FS) site { return site{files, &sync.Map{}, &sync.Map{}} }

// reserved are first parts of paths that other programs ask for. A page in their place would look to them
// like an answer.
var reserved = map[string]bool{
	"api": true, "ajax-api": true, "graphql": true, "health": true, "healthz": true, "ready": true, "readyz": true, "live": true, "livez": true, "livenessprobe": true,
	"status": true, "ping": true, "version": true, "metrics": true, "debug": true, "get-artifact": true, "swagger": true, "static-files": true,
}

// page says whether a path may be one of the pages' own: not a file's name, not a name that others look
// for, and asked for by someone who takes HTML.
func page(p, accept string) bool {
	first, _, below := strings.Cut(p, "/") // a run's id may have a dot
	if reserved[strings.ToLower(first)] || strings.HasPrefix(first, ".") || !below && path.Ext(p) != "" {
		return false
	}
	return accept == "" || strings.Contains(accept, "text/html") || strings.Contains(accept, "*/*") || strings.Contains(accept, "text/*")
}

const unbuilt = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Triality</title>
<body style="font:16px/1.6 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem">
<h1>The web pages are not built</h1>
<p>This server's API works, see <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>. For the pages, run this in the project's folder, then build the server again:</p>
<pre style="background:#8882;padding:1rem;overflow:auto">npm --prefix frontend ci
npm --prefix frontend run build
go build .</pre>
`

func (s site) serve(c echo.Context) error {
	p := strings.TrimPrefix(path.Clean("/"+c.Request().URL.Path), "/")
	if p == "" {
		p = "index.html"
	}
	var b []byte
	err := fs.ErrNotExist
	if s.files != nil {
		b, err = fs.ReadFile(s.files, p)
	}
	hashed := strings.HasPrefix(p, "assets/")
	if err != nil { // no such file, or a folder
		if p != "index.html" && (hashed || !page(p, c.Request().Header.Get("Accept"))) {
			return experiments.Errorf(experiments.CodeNotFound, "nothing is at /%.200s", p)
		}
		p = "index.html"
		if s.files != nil {
			b, err = fs.ReadFile(s.files, p)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return c.HTML(http.StatusOK, unbuilt)
		}
	}
	if err != nil {
		return fmt.Errorf("page %s: %w", p, err)
	}
	h := c.Response().Header()
	h.Set("ETag", s.tag(p, b))
	h.Set("Cache-Control", "no-cache")
	if hashed { // the name changes with the content
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if t, ok := siteTypes[path.Ext(p)]; ok { // not the system's table: a Windows registry may say text/plain for .js
		h.Set("Content-Type", t)
	}
	h.Add("Vary", "Accept-Encoding")
	if takesGzip(c.Request().Header.Get("Accept-Encoding")) {
		small, err := s.compressed(p, b)
		if err != nil {
			return fmt.Errorf("page %s: %w", p, err)
		}
		if small != nil {
			b = small
			h.Set("Content-Encoding", "gzip")
			if c.Request().Header.Get("Range") == "" { // ServeContent tells no length of what is encoded
				h.Set("Content-Length", strconv.Itoa(len(b)))
			}
			h.Set("ETag", strings.TrimSuffix(h.Get("ETag"), `"`)+`-gzip"`)
		}
	}
	http.ServeContent(c.Response(), c.Request(), p, time.Time{}, bytes.NewReader(b))
	return nil
}

// compressed gives a file's bytes compressed, made once; nil where they are as good as they are.
func (s site) compressed(p string, b []byte) ([]byte, error) {
	if known, ok := s.small.Load(p); ok {
		return known.([]byte), nil
	}
	small, err := zipped(b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if len(b) < 1400 || len(small) > len(b)*9/10 {
		small = nil
	}
	s.small.Store(p, small)
	return small, nil
}

var siteTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml", ".json": "application/json", ".woff2": "font/woff2", ".png": "image/png",
	".webmanifest": "application/manifest+json", ".map": "application/json", ".ico": "image/x-icon",
}

func (s site) tag(p string, b []byte) string {
	if t, ok := s.tags.Load(p); ok {
		return t.(string)
	}
	sum := sha256.Sum256(b)
	t := `"` + hex.EncodeToString(sum[:16]) + `"`
	s.tags.Store(p, t)
	return t
}
