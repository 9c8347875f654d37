package api

import (
	"math"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"triality/server/search"
)

// The bodies of searches; the same names are query parameters of GET, of which a list's may stand several times.
type (
	runColumns struct {
		Filter      string          `json:"filter,omitempty"`
		Experiments []string        `json:"experiments,omitempty"`
		Archived    search.Archived `json:"archived,omitempty"`
		Name        string          `json:"name,omitempty"`   // only columns whose name contains it
		Varies      bool            `json:"varies,omitempty"` // only those that differ among the runs
		Limit       int             `json:"limit,omitempty"`  // of the columns; left out: all
	}
	runGroups struct {
		Filter      string          `json:"filter,omitempty"`
		OrderBy     []string        `json:"order_by,omitempty"`
		Experiments []string        `json:"experiments,omitempty"`
		Archived    search.Archived `json:"archived,omitempty"`
		Columns     []string        `json:"columns,omitempty"`
		GroupBy     []string        `json:"group_by"`
		Limit       int             `json:"limit,omitempty"`
		Offset      *int            `json:"offset,omitempty"` // so many groups are passed over
	}
)

var scopeQuery = []parameter{
	{"filter", "such as metrics.loss < 0.5 AND params.lr = 1e-4 AND (resnet OR NOT tags.team LIKE 'z%'); also best(eval/f1) > 0.8, started > -7d, duration > 10m"},
	{"experiments", "ids; may stand several times"},
	{"archived", "also or only; runs that are archived are left out otherwise"},
}

// isPost says that the request's texts are in its body.
func isPost(c echo.Context) bool { return c.Request().Method == http.MethodPost }

// limitOf is the limit that GET gives, or holds the one that POST gave to the bounds.
func limitOf(c echo.Context, given int) (int, error) {
	if !isPost(c) {
		return intQuery(c, "limit", search.DefaultLimit, 1, search.MaxLimit)
	}
	if given < 0 || given > search.MaxLimit {
		return 0, invalid("limit %d: want a whole number from 1 to %d", given, search.MaxLimit)
	}
	return given, nil
}

// offsetOf is the offset that GET gives, nil for none.
func offsetOf(c echo.Context) (*int, error) {
	if !c.QueryParams().Has("offset") {
		return nil, nil
	}
	n, err := intQuery(c, "offset", 0, 0, math.MaxInt32)
	return &n, err
}

func (s *Server) searchRuns(c echo.Context) error {
	var in search.Request
	if isPost(c) {
		if _, err := readJSON(c, maxBody, &in); err != nil {
			return err
		}
	} else {
		p := c.QueryParams()
		in = search.Request{Filter: p.Get("filter"), OrderBy: p["order_by"], Experiments: p["experiments"],
			Archived: search.Archived(p.Get("archived")), Columns: p["columns"], Cursor: p.Get("cursor"),
			Snapshot: p.Get("snapshot"), Form: p.Get("form")}
		var err error
		if in.Offset, err = offsetOf(c); err != nil {
			return err
		}
		if in.Vary, err = intQuery(c, "vary", 0, 0, search.MaxLimit); err != nil {
			return err
		}
	}
	var err error
	if in.Limit, err = limitOf(c, in.Limit); err != nil {
		return err
	}
	q, err := in.Query()
	if err != nil {
		return err
	}
	got, err := s.store.Search(c.Request().Context(), q)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, got)
}

func (s *Server) runColumns(c echo.Context) error {
	var in runColumns
	if isPost(c) {
		if _, err := readJSON(c, maxBody, &in); err != nil {
			return err
		}
	} else {
		p := c.QueryParams()
		in = runColumns{Filter: p.Get("filter"), Experiments: p["experiments"], Archived: search.Archived(p.Get("archived")), Name: p.Get("name"), Varies: p.Get("varies") == "true"}
		var err error
		if in.Limit, err = intQuery(c, "limit", 0, 1, search.MaxColumns); err != nil {
			return err
		}
	}
	q, err := search.Request{Filter: in.Filter, Experiments: in.Experiments, Archived: in.Archived}.Query()
	if err != nil {
		return err
	}
	got, err := s.store.Columns(c.Request().Context(), q, in.Name)
	if err != nil {
		return err
	}
	if in.Varies {
		got.Items = slices.DeleteFunc(got.Items, func(f search.Facet) bool { return !f.Varies })
	}
	if in.Limit > 0 && len(got.Items) > in.Limit {
		got.Items = got.Items[:in.Limit]
	}
	return sendJSON(c, http.StatusOK, got)
}

func (s *Server) runGroups(c echo.Context) error {
	var in runGroups
	if isPost(c) {
		if _, err := readJSON(c, maxBody, &in); err != nil {
			return err
		}
	} else {
		p := c.QueryParams()
		in = runGroups{Filter: p.Get("filter"), OrderBy: p["order_by"], Experiments: p["experiments"],
			Archived: search.Archived(p.Get("archived")), Columns: p["columns"], GroupBy: p["group_by"]}
		var err error
		if in.Offset, err = offsetOf(c); err != nil {
			return err
		}
	}
	limit, err := limitOf(c, in.Limit)
	if err != nil {
		return err
	}
	q, err := search.Request{Filter: in.Filter, OrderBy: in.OrderBy, Experiments: in.Experiments, Archived: in.Archived, Columns: in.Columns, Limit: limit, Offset: in.Offset}.Query()
	if err != nil {
		return err
	}
	by, err := search.Keys("group_by", in.GroupBy)
	if err != nil {
		return err
	}
	got, err := s.store.Groups(c.Request().Context(), q, by)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, got)
}
