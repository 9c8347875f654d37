package api

import (
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

type newRun struct {
	ExperimentID string              `json:"experiment_id"`
	ParentID     string              `json:"parent_id,omitempty"` // the run that it is a part of
	Name         string              `json:"name"`
	Status       *experiments.Status `json:"status,omitempty"`
	StartedAt    *string             `json:"started_at,omitempty"`
	EndedAt      *string             `json:"ended_at,omitempty"`
	Params       map[string]*string  `json:"params,omitempty"`
	Tags         map[string]*string  `json:"tags,omitempty"`
}

type runPatch struct {
	Name         *string             `json:"name,omitempty"`
	ExperimentID *string             `json:"experiment_id,omitempty"` // moves it
	ParentID     *string             `json:"parent_id,omitempty"`     // empty: of none
	Status       *experiments.Status `json:"status,omitempty"`
	StartedAt    *string             `json:"started_at,omitempty"`
	EndedAt      *string             `json:"ended_at,omitempty"`
	Tags         map[string]*string  `json:"tags,omitempty"`
	Params       map[string]*string  `json:"params,omitempty"`
	Notes        *string             `json:"notes,omitempty"`
	Archived     *bool               `json:"archived,omitempty"`
	Priority     *int                `json:"priority,omitempty"` // of a waiting run: higher ones start first
}

// archive gives the time of archiving: what is archived already keeps its own.
func archive(at time.Time, want *bool) time.Time {
	switch {
	case want == nil:
		return at
	case !*want:
		return time.Time{}
	case at.IsZero():
		return time.Now().UTC()
	}
	return at
}

func (s *Server) runs(c echo.Context) error {
	limit, err := intQuery(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	items, next, err := s.store.Runs(c.Request().Context(), store.RunFilter{
		ExperimentID: c.QueryParam("experiment_id"), Status: experiments.Status(c.QueryParam("status")),
		Query: c.QueryParam("q"), Limit: limit, Cursor: c.QueryParam("cursor"),
	})
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[experiments.Run]{items, next})
}

func (s *Server) createRun(c echo.Context) error {
	var in newRun
	body, err := readJSON(c, maxBody, &in)
	if err != nil {
		return err
	}
	id, err := store.NewRunID()
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	r := experiments.Run{ID: id, ExperimentID: in.ExperimentID, ParentID: in.ParentID, Name: in.Name, Status: experiments.Running, StartedAt: now}
	if err := setTimes(&r, in.Status, in.StartedAt, in.EndedAt, now); err != nil {
		return err
	}
	// A run of the past stands in the lists where it was.
	r.CreatedAt = r.StartedAt
	if r.Name == "" {
		r.Name = r.StartedAt.Format("2006-01-02 15:04:05")
	}
	if r.Params, err = merge("params", nil, in.Params); err != nil {
		return err
	}
	if r.Tags, err = merge("tags", nil, in.Tags); err != nil {
		return err
	}
	ctx, replayed, err := once(c, body)
	if err != nil {
		return err
	}
	if r, err = s.store.CreateRun(ctx, r); err != nil {
		return err
	}
	replayed()
	c.Response().Header().Set("Location", "/api/v1/runs/"+r.ID)
	return sendJSON(c, http.StatusCreated, r)
}

func (s *Server) run(c echo.Context) error { return s.sendRun(c, http.StatusOK) }

func (s *Server) sendRun(c echo.Context, status int) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	r, err := s.store.Run(c.Request().Context(), id)
	if err != nil {
		return err
	}
	if r.Job != nil && s.opts.Jobs != nil {
		r.Job.Waits = s.opts.Jobs.Waits(c.Request().Context(), id)
	}
	return sendJSON(c, status, r)
}

func (s *Server) patchRun(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	var in runPatch
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	if in.Priority != nil {
		if in.Name != nil || in.Status != nil || in.StartedAt != nil || in.EndedAt != nil || in.Tags != nil || in.Params != nil {
			return invalid("priority changes alone: send the other keys in a request of their own")
		}
		if err := checkPriority(*in.Priority); err != nil {
			return err
		}
		if s.opts.Jobs == nil {
			return unavailable("job runner")
		}
		if _, err := s.opts.Jobs.Prioritize(c.Request().Context(), id, *in.Priority); err != nil {
			return err
		}
		return s.sendRun(c, http.StatusOK)
	}
	r, err := s.store.UpdateRun(c.Request().Context(), id, func(r *experiments.Run) (err error) {
		if in.Name != nil {
			r.Name = *in.Name
		}
		if in.ExperimentID != nil {
			r.ExperimentID = *in.ExperimentID
		}
		if in.ParentID != nil {
			r.ParentID = *in.ParentID
		}
		if in.Notes != nil {
			if err := checkDescription(*in.Notes); err != nil {
				return fmt.Errorf("notes: %w", err)
			}
			r.Notes = *in.Notes
		}
		r.ArchivedAt = archive(r.ArchivedAt, in.Archived)
		if r.Config != "" && (in.Status != nil && *in.Status != r.Status || in.StartedAt != nil || in.EndedAt != nil) {
			return experiments.Errorf(experiments.CodeConflict, "run %s: its status and times are the pipeline's; cancel or resume it", id)
		}
		if err := setTimes(r, in.Status, in.StartedAt, in.EndedAt, time.Now().UTC()); err != nil {
			return err
		}
		if r.Tags, err = merge("tags", r.Tags, in.Tags); err != nil {
			return err
		}
		r.Params, err = merge("params", r.Params, in.Params)
		return err
	})
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, r)
}

func (s *Server) deleteRun(c echo.Context) error {
	return remove(c, s.store.DeleteRun, s.store.PurgeRun)
}
