package api

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/experiments/config"
)

func (s *Server) modules(c echo.Context) error {
	items, err := s.store.Modules(c.Request().Context())
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[experiments.Module]{Items: items})
}

func (s *Server) addModule(c echo.Context) error {
	if s.opts.Modules == nil {
		return unavailable("module validator")
	}
	wasm, done, err := s.uploadedModule(c)
	done()
	if err != nil {
		return err
	}
	m, err := s.opts.Modules.Add(c.Request().Context(), wasm)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", "/api/v1/modules/"+m.SHA256)
	return sendJSON(c, http.StatusCreated, m)
}

type newTrial struct {
	Module string         `json:"module"` // SHA-256 of a stored module
	Params map[string]any `json:"params,omitempty"`
	Slices []string       `json:"slices,omitempty"` // class, language, domain, group or a field of the rows
}

// tryModule runs a stored module on a finished A/B test.
func (s *Server) tryModule(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	var in newTrial
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	if s.opts.Modules == nil {
		return unavailable("module sandbox")
	}
	if in.Module == "" {
		return invalid("module is missing: the SHA-256 of a stored module")
	}
	if err := config.CheckSlices(in.Slices); err != nil {
		return invalid("slices: %v", err)
	}
	out, err := s.opts.Modules.Try(c.Request().Context(), id, in.Module, in.Params, in.Slices...)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusCreated, out)
}

// moduleResults lists the A/B test's module results without their columns of a value a row, which are as long as the test.
func (s *Server) moduleResults(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	b, err := readArtifact(c.Request().Context(), s.store, id, artifactAB)
	if err != nil {
		return err
	}
	var ab struct {
		Metrics []experiments.ModuleResult `json:"metrics"`
	}
	if err := json.Unmarshal(b, &ab); err != nil {
		return invalid("artifact %s of run %s: %v", artifactAB, id, err)
	}
	for i := range ab.Metrics {
		m := &ab.Metrics[i]
		m.Outputs = slices.DeleteFunc(m.Outputs, func(o experiments.MetricOutput) bool { return o.Kind == "column" })
	}
	return sendJSON(c, http.StatusOK, list[experiments.ModuleResult]{Items: ab.Metrics})
}

func (s *Server) module(c echo.Context) error {
	sum, err := param(c, "sha256")
	if err != nil {
		return err
	}
	m, _, err := s.store.Module(c.Request().Context(), sum)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, m)
}

func (s *Server) moduleBytes(c echo.Context) error {
	sum, err := param(c, "sha256")
	if err != nil {
		return err
	}
	m, wasm, err := s.store.Module(c.Request().Context(), sum)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("ETag", strconv.Quote(m.SHA256))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fmt.Sprintf("%s-%s.wasm", m.Name, m.Version)}))
	return c.Blob(http.StatusOK, "application/wasm", wasm)
}

func (s *Server) hideModule(c echo.Context) error {
	sum, err := param(c, "sha256")
	if err != nil {
		return err
	}
	if err := s.store.HideModule(c.Request().Context(), sum); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
