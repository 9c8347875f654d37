package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
)

// site serves the built pages. Paths that name no file get index.html, whose script routes them.
type site struct {
	files fs.FS
	tags  *sync.Map // file → ETag
}

func newSite(files fs.FS) site { return site{files, &sync.Map{}} }

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
	if p == "api" || strings.HasPrefix(p, "api/") {
		return experiments.Errorf(experiments.CodeNotFound, "no such route")
	}
	if s.files == nil {
		return c.HTML(http.StatusOK, unbuilt)
	}
	if p == "" {
		p = "index.html"
	}
	b, err := fs.ReadFile(s.files, p)
	hashed := strings.HasPrefix(p, "assets/")
	if err != nil && hashed {
		return experiments.Errorf(experiments.CodeNotFound, "no file %q", p)
	}
	if err != nil { // no such file, or a folder
		p = "index.html"
		if b, err = fs.ReadFile(s.files, p); errors.Is(err, fs.ErrNotExist) {
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
	http.ServeContent(c.Response(), c.Request(), p, time.Time{}, bytes.NewReader(b))
	return nil
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
