package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/search"
	"triality/server/store"
)

// undoHeader holds, in the answer to a deletion, the token that brings back what was deleted.
const undoHeader = "Undo-Token"

// maxBulkBody has room for the ids of store.MaxBulkRuns runs.
const maxBulkBody = 8 << 20

type (
	bulkRuns struct {
		IDs          []string           `json:"ids,omitempty"` // or where
		Where        *bulkWhere         `json:"where,omitempty"`
		Action       store.Action       `json:"action"`                  // tag, move, archive, restore (from the archive) or delete
		Tags         map[string]*string `json:"tags,omitempty"`          // of tag: null removes one
		ExperimentID string             `json:"experiment_id,omitempty"` // of move
	}
	bulkWhere struct {
		Filter      string          `json:"filter,omitempty"`
		Experiments []string        `json:"experiments,omitempty"`
		Archived    search.Archived `json:"archived,omitempty"`
		Expected    *int            `json:"expected"` // how many runs match, as whoever asks was shown
	}
	undoBody struct {
		SkipConflicts bool `json:"skip_conflicts,omitempty"` // leave what was changed since, and undo the rest
	}
)

func (in *bulkRuns) check() error {
	if (in.IDs == nil) == (in.Where == nil) {
		return invalid("want either ids or where, which says by a filter what runs are meant")
	}
	if in.Where != nil && in.Where.Expected == nil {
		return invalid("where.expected is missing: how many runs match, so that no others are changed than those someone saw")
	}
	if (in.Action == store.ActionTag) != (len(in.Tags) > 0) {
		return invalid("tags: the action tag wants some, no other does")
	}
	if (in.Action == store.ActionMove) != (in.ExperimentID != "") {
		return invalid("experiment_id: the action move wants one, no other does")
	}
	_, err := merge("tags", nil, in.Tags)
	return err
}

// matching gives the runs of a filter, if they are as many as expected.
func (s *Server) matching(ctx context.Context, w *bulkWhere) ([]string, error) {
	q, err := search.Request{Filter: w.Filter, Experiments: w.Experiments, Archived: w.Archived}.Query()
	if err != nil {
		return nil, err
	}
	ids, err := s.store.Matching(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(ids) != *w.Expected {
		e := experiments.Errorf(experiments.CodeConflict, "%d runs match, %d were expected: look at them again; nothing was changed", len(ids), *w.Expected)
		e.Details = map[string]any{"expected": *w.Expected, "matched": len(ids)}
		return nil, e
	}
	return ids, nil
}

func (s *Server) bulk(c echo.Context) error {
	var in bulkRuns
	body, err := readJSON(c, maxBulkBody, &in)
	if err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	ctx, replayed, err := once(c, body)
	if err != nil {
		return err
	}
	done, repeated, err := s.store.ChangeAgain(ctx)
	if err != nil {
		return err
	}
	if !repeated {
		if in.Where != nil {
			if in.IDs, err = s.matching(ctx, in.Where); err != nil {
				return err
			}
		}
		if done, err = s.store.ChangeRuns(ctx, store.Bulk{IDs: in.IDs, Action: in.Action, Tags: in.Tags, Experiment: in.ExperimentID}); err != nil {
			return err
		}
	}
	replayed()
	return sendChange(c, done)
}

// sendChange answers with a change; 202 says that the rest of it is put off.
func sendChange(c echo.Context, done store.Change) error {
	status := http.StatusOK
	if done.State == store.ChangeDoing || done.State == store.ChangeUndoing {
		status = http.StatusAccepted
	}
	return sendJSON(c, status, done)
}

func (s *Server) undo(c echo.Context) error {
	token, err := param(c, "token")
	if err != nil {
		return err
	}
	var in undoBody
	body, err := readJSON(c, maxBody, &in)
	if err != nil {
		return err
	}
	ctx, replayed, err := once(c, body)
	if err != nil {
		return err
	}
	done, repeated, err := s.store.ChangeAgain(ctx)
	if err == nil && !repeated {
		done, err = s.store.Undo(ctx, token, in.SkipConflicts)
	}
	if err != nil {
		return err
	}
	replayed()
	return sendChange(c, done)
}

func (s *Server) undos(c echo.Context) error {
	items, err := s.store.Changes(c.Request().Context())
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[store.Change]{Items: items})
}

func (s *Server) purge(c echo.Context) error {
	token, err := param(c, "token")
	if err != nil {
		return err
	}
	if err := s.store.PurgeChange(c.Request().Context(), token); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// remove answers a deletion: for good where the query says so, else with the token that undoes it.
func remove(c echo.Context, away func(context.Context, string) (string, error), forGood func(context.Context, string) error) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	purge := c.QueryParam("purge")
	if purge != "" && purge != "true" && purge != "false" {
		return invalid("purge=%.20q: want true or false", purge)
	}
	ctx, replayed, err := once(c, []byte(purge))
	if err != nil {
		return err
	}
	if purge == "true" {
		err = forGood(ctx, id)
	} else {
		var token string
		if token, err = away(ctx, id); err == nil {
			c.Response().Header().Set(undoHeader, token)
		}
	}
	if err != nil {
		return err
	}
	replayed()
	return c.NoContent(http.StatusNoContent)
}
