package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

const codePrecondition experiments.Code = "precondition_failed"

// maxViewRequest leaves room for the other keys.
const maxViewRequest = store.MaxViewBody + 16<<10

type newView struct {
	Name       string          `json:"name"`
	Experiment string          `json:"experiment,omitempty"` // id; empty: of none
	Folder     string          `json:"folder,omitempty"`
	Body       json.RawMessage `json:"body"` // JSON whose meaning is the page's
}

type viewPatch struct {
	Name       *string         `json:"name,omitempty"`
	Experiment *string         `json:"experiment,omitempty"`
	Folder     *string         `json:"folder,omitempty"`
	Body       json.RawMessage `json:"body,omitempty"`
}

// wholeView is a view as it is sent.
type wholeView struct {
	store.View
	Body json.RawMessage `json:"body"`
}

// sendView writes the body as it was given: an encoder would shorten and escape it.
func sendView(c echo.Context, status int, v store.View) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b = append(b[:len(b)-1], `,"body":`...)
	b = append(append(b, v.Body...), '}', '\n')
	c.Response().Header().Set("ETag", `"`+strconv.FormatInt(v.Revision, 10)+`"`)
	c.Response().Header().Set("Cache-Control", "no-cache")
	return sendBytes(c, status, jsonType, b)
}

// ifMatch is the revision that a change is for; 0 is any.
func ifMatch(c echo.Context) (int64, error) {
	values := c.Request().Header.Values("If-Match")
	if len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "*" {
		return 0, nil
	}
	if len(values) == 1 {
		text, ok := strings.CutPrefix(strings.TrimSpace(values[0]), `"`)
		if text, last := strings.CutSuffix(text, `"`); ok && last {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
				return n, nil
			}
		}
	}
	return 0, invalid(`If-Match: %.60q: want a revision in quotes as the ETag of the answer has it, such as "3", or *`, strings.Join(values, ", "))
}

// stale gives an error of something that was changed meanwhile its code.
func stale(err error) error {
	var r *store.RevisionError
	if !errors.As(err, &r) {
		return err
	}
	e := experiments.Errorf(codePrecondition, "%w", r)
	e.Details = map[string]any{"revision": r.Now}
	return e
}

func (s *Server) views(c echo.Context) error {
	asked := func(name string) *string {
		if !c.QueryParams().Has(name) {
			return nil
		}
		v := c.QueryParam(name)
		return &v
	}
	items, err := s.store.Views(c.Request().Context(), asked("experiment"), asked("folder"))
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[store.View]{Items: items})
}

func (s *Server) createView(c echo.Context) error {
	var in newView
	sent, err := readJSON(c, maxViewRequest, &in)
	if err != nil {
		return err
	}
	if in.Body == nil {
		return invalid("body is missing: any JSON, what the page keeps of itself")
	}
	ctx, replayed, err := once(c, sent)
	if err != nil {
		return err
	}
	v, err := s.store.CreateView(ctx, store.View{Name: in.Name, Experiment: in.Experiment, Folder: in.Folder, Body: in.Body})
	if err != nil {
		return err
	}
	replayed()
	c.Response().Header().Set("Location", "/api/v1/views/"+v.ID)
	return sendView(c, http.StatusCreated, v)
}

func (s *Server) view(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	v, err := s.store.View(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendView(c, http.StatusOK, v)
}

func (s *Server) putView(c echo.Context) error {
	var in newView
	return s.changeView(c, &in, func(v *store.View) error {
		if in.Body == nil {
			return invalid("body is missing: PUT replaces the whole view, PATCH a part of it")
		}
		v.Name, v.Experiment, v.Folder, v.Body = in.Name, in.Experiment, in.Folder, in.Body
		return nil
	})
}

func (s *Server) patchView(c echo.Context) error {
	var in viewPatch
	return s.changeView(c, &in, func(v *store.View) error {
		for to, from := range map[*string]*string{&v.Name: in.Name, &v.Experiment: in.Experiment, &v.Folder: in.Folder} {
			if from != nil {
				*to = *from
			}
		}
		if in.Body != nil {
			v.Body = in.Body
		}
		return nil
	})
}

func (s *Server) changeView(c echo.Context, in any, change func(*store.View) error) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	revision, err := ifMatch(c)
	if err != nil {
		return err
	}
	if _, err := readJSON(c, maxViewRequest, in); err != nil {
		return err
	}
	v, err := s.store.UpdateView(c.Request().Context(), id, revision, change)
	if err != nil {
		return stale(err)
	}
	return sendView(c, http.StatusOK, v)
}

func (s *Server) deleteView(c echo.Context) error { return removeAt(c, s.store.DeleteView) }

// removeAt removes what the path names, at the revision that If-Match has.
func removeAt(c echo.Context, remove func(ctx context.Context, id string, revision int64) error) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	revision, err := ifMatch(c)
	if err != nil {
		return err
	}
	if err := remove(c.Request().Context(), id, revision); err != nil {
		return stale(err)
	}
	return c.NoContent(http.StatusNoContent)
}
