package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

// Artifacts that steps leave under fixed paths.
const (
	artifactAB          = "abtest/results.json"
	artifactData        = "convert/summary.json"
	artifactReplacement = "replace/replacement.json"
)

// maxJSONArtifact bounds what is read into memory of those, and loadsAtOnce how many requests do so at a
// time.
const (
	maxJSONArtifact = 256 << 20
	loadsAtOnce     = 2
)

// loadTime is how long a client may take over such an answer.
const loadTime = 2 * time.Minute

// load waits for a place among those who hold large answers in memory; free gives it back.
func (s *Server) load(c echo.Context) (free func(), err error) {
	ctx := c.Request().Context()
	select {
	case s.loads <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	control := http.NewResponseController(c.Response())
	_ = control.SetWriteDeadline(time.Now().Add(loadTime)) // what is no connection has no deadline
	return func() {
		_ = control.SetWriteDeadline(time.Time{})
		<-s.loads
	}, nil
}

func (s *Server) artifacts(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	items, err := s.store.Artifacts(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[experiments.Artifact]{Items: items})
}

func (s *Server) artifact(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	p, err := param(c, "*")
	if err != nil {
		return err
	}
	a, f, err := s.store.OpenArtifact(c.Request().Context(), id, p)
	if err != nil {
		return err
	}
	defer f.Close()
	h := c.Response().Header()
	h.Set("Content-Type", a.MediaType)
	h.Set("Content-Security-Policy", foreignPolicy)
	h.Set("ETag", strconv.Quote(a.SHA256))
	h.Set("Cache-Control", "no-cache")
	attach(c, path.Base(p))
	http.ServeContent(c.Response(), c.Request(), "", a.CreatedAt, f)
	return nil
}

// attach makes the answer a download where the query asks for it.
func attach(c echo.Context, name string) {
	if v := c.QueryParam("download"); v != "" && v != "0" {
		c.Response().Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}
}

func (s *Server) putArtifact(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	p, err := param(c, "*")
	if err != nil {
		return err
	}
	req := c.Request()
	body := http.MaxBytesReader(c.Response(), req.Body, s.opts.MaxArtifactBytes)
	a, err := s.store.SaveArtifact(req.Context(), id, p, req.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusCreated, a)
}

// readArtifact reads a step's JSON into memory.
func readArtifact(ctx context.Context, st *store.Store, run, p string) ([]byte, error) {
	a, f, err := st.OpenArtifact(ctx, run, p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if a.Size > maxJSONArtifact {
		return nil, experiments.Errorf(experiments.CodeTooLarge, "artifact %s of run %s has %d bytes, at most %d are shown", p, run, a.Size, maxJSONArtifact)
	}
	b := make([]byte, a.Size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("artifact %s of run %s: %w", p, run, err)
	}
	return b, nil
}

func (s *Server) jsonArtifact(p string) echo.HandlerFunc {
	return func(c echo.Context) error {
		id, err := param(c, "id")
		if err != nil {
			return err
		}
		free, err := s.load(c)
		if err != nil {
			return err
		}
		defer free()
		b, err := readArtifact(c.Request().Context(), s.store, id, p)
		if err != nil {
			return err
		}
		if !json.Valid(b) {
			return invalid("artifact %s of run %s is not JSON", p, id)
		}
		return sendBytes(c, http.StatusOK, jsonType, b)
	}
}
