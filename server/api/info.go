package api

import (
	"net/http"
	"runtime"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
)

type health struct {
	Status string `json:"status"`
}

// health says whether the process is well: it answers and its last write worked.
func (s *Server) health(c echo.Context) error {
	if err := s.store.Health(c.Request().Context()); err != nil {
		return unwell("not healthy", err)
	}
	return sendJSON(c, http.StatusOK, health{"ok"})
}

// ready says whether new work is taken: well, and not stopping.
func (s *Server) ready(c echo.Context) error {
	if s.ending.Err() != nil {
		return experiments.Errorf(experiments.CodeUnavailable, "not ready: the server is stopping")
	}
	if err := s.store.Health(c.Request().Context()); err != nil {
		return unwell("not ready", err)
	}
	return sendJSON(c, http.StatusOK, health{"ready"})
}

func unwell(what string, err error) error {
	return experiments.Errorf(experiments.CodeUnavailable, "%s: %s", what, err)
}

type infoAnswer struct {
	Info
	Go               string    `json:"go"`
	OS               string    `json:"os"`
	Arch             string    `json:"arch"`
	StartedAt        time.Time `json:"started_at"`
	DataDirFreeBytes uint64    `json:"data_dir_free_bytes"`
	Escalations      bool      `json:"escalations"` // queries are answered here, or wait for a person
}

func (s *Server) info(c echo.Context) error {
	free, err := s.store.FreeBytes()
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, infoAnswer{s.opts.Info, runtime.Version(), runtime.GOOS, runtime.GOARCH, s.started, free, s.opts.Escalations != nil})
}

func (s *Server) document(c echo.Context) error {
	return sendBytes(c, http.StatusOK, jsonType, s.openapi)
}

func (s *Server) configs(c echo.Context) error {
	items := s.opts.Configs
	if items == nil {
		items = []Config{}
	}
	return sendJSON(c, http.StatusOK, list[Config]{Items: items})
}
