package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/search"
	"triality/server/store"
)

type newExperiment struct {
	Name        string             `json:"name"`
	Description string             `json:"description,omitempty"`
	Folder      string             `json:"folder,omitempty"` // such as team/project; empty: at the top
	Tags        map[string]*string `json:"tags,omitempty"`
}

type experimentPatch struct {
	Name        *string            `json:"name,omitempty"`
	Description *string            `json:"description,omitempty"`
	Folder      *string            `json:"folder,omitempty"`         // moves it
	Primary     *string            `json:"primary_metric,omitempty"` // empty: by convention
	Tags        map[string]*string `json:"tags,omitempty"`
	Archived    *bool              `json:"archived,omitempty"`
	Directions  map[string]*string `json:"directions,omitempty"` // of metrics: higher, lower or none; null: by its name again
}

func checkDirections(patch map[string]*string) error {
	for name, d := range patch {
		if d != nil && *d != string(search.Higher) && *d != string(search.Lower) && *d != string(search.Neither) {
			return invalid("directions: %.100q is %.40q: want higher, lower or none", name, *d)
		}
	}
	return nil
}

func checkDescription(d string) error {
	if len(d) > maxDescription {
		return invalid("a text of %d bytes, at most %d", len(d), maxDescription)
	}
	return nil
}

func (s *Server) experiments(c echo.Context) error {
	limit, err := intQuery(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	items, next, err := s.store.ExperimentsIn(c.Request().Context(), c.QueryParam("folder"), limit, c.QueryParam("cursor"))
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[store.ExperimentInfo]{items, next})
}

func (s *Server) createExperiment(c echo.Context) error {
	var in newExperiment
	body, err := readJSON(c, maxBody, &in)
	if err != nil {
		return err
	}
	if err := checkDescription(in.Description); err != nil {
		return err
	}
	tags, err := merge("tags", nil, in.Tags)
	if err != nil {
		return err
	}
	ctx, replayed, err := once(c, body)
	if err != nil {
		return err
	}
	e, err := s.store.CreateExperiment(ctx, experiments.Experiment{Name: in.Name, Description: in.Description, Folder: in.Folder, Tags: tags})
	if err != nil {
		return err
	}
	replayed()
	c.Response().Header().Set("Location", "/api/v1/experiments/"+e.ID)
	return sendJSON(c, http.StatusCreated, store.ExperimentInfo{Experiment: e})
}

func (s *Server) experiment(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	e, err := s.store.Experiment(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, e)
}

func (s *Server) patchExperiment(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	var in experimentPatch
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	if err := checkDirections(in.Directions); err != nil {
		return err
	}
	ctx := c.Request().Context()
	_, err = s.store.UpdateExperiment(ctx, id, func(e *experiments.Experiment) (err error) {
		if in.Name != nil {
			e.Name = *in.Name
		}
		if in.Description != nil {
			e.Description = *in.Description
		}
		if in.Folder != nil {
			e.Folder = *in.Folder
		}
		if in.Primary != nil {
			e.Primary = *in.Primary
		}
		e.ArchivedAt = archive(e.ArchivedAt, in.Archived)
		if e.Tags, err = merge("tags", e.Tags, in.Tags); err != nil {
			return err
		}
		if e.Directions, err = merge("directions", e.Directions, in.Directions); err != nil {
			return err
		}
		return checkDescription(e.Description)
	})
	if err != nil {
		return err
	}
	return s.experiment(c)
}

func (s *Server) deleteExperiment(c echo.Context) error {
	return remove(c, s.store.DeleteExperiment, s.store.PurgeExperiment)
}
