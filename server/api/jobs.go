package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

type newJob struct {
	Config string `json:"config"` // the pipeline's YAML
	Name   string `json:"name,omitempty"`
}

func (s *Server) submit(c echo.Context) error {
	var in newJob
	body, err := readJSON(c, maxBody, &in)
	if err != nil {
		return err
	}
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	if in.Config == "" {
		return invalid("config is missing: the pipeline's YAML")
	}
	ctx, replayed, err := once(c, body)
	if err != nil {
		return err
	}
	r, err := s.opts.Jobs.Submit(ctx, in.Config, in.Name)
	if err != nil {
		return err
	}
	replayed()
	c.Response().Header().Set("Location", "/api/v1/runs/"+r.ID)
	return sendJSON(c, http.StatusAccepted, r)
}

func (s *Server) cancelRun(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	if err := s.opts.Jobs.Cancel(c.Request().Context(), id); err != nil {
		return err
	}
	return s.sendRun(c, http.StatusAccepted)
}

func (s *Server) resumeRun(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	if s.opts.Jobs == nil {
		return unavailable("job runner")
	}
	r, err := s.opts.Jobs.Resume(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusAccepted, r)
}
