package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/search"
	"triality/server/search/query"
)

// runSearch is the body of a search; the same names are query parameters of GET, of which a list's may stand several
// times.
type runSearch struct {
	Filter      string   `json:"filter,omitempty"`
	OrderBy     []string `json:"order_by,omitempty"` // keys, each with ASC or DESC after it
	Experiments []string `json:"experiments,omitempty"`
	Archived    string   `json:"archived,omitempty"`
	Columns     []string `json:"columns,omitempty"`
	GroupBy     []string `json:"group_by,omitempty"` // of groups alone
	Name        string   `json:"name,omitempty"`     // of columns alone
	Limit       int      `json:"limit,omitempty"`
	Cursor      string   `json:"cursor,omitempty"`
}

var scopeQuery = []parameter{
	{"filter", "such as metrics.loss < 0.5 AND params.lr = 1e-4 AND (resnet OR NOT tags.team LIKE 'z%'); also best(eval/f1) > 0.8, started > -7d, duration > 10m"},
	{"experiments", "ids; may stand several times"},
	{"archived", "also or only; runs that are archived are left out otherwise"},
}

// readSearch reads a search from the body of POST or the parameters of GET.
func readSearch(c echo.Context) (runSearch, search.Query, error) {
	var in runSearch
	if c.Request().Method == http.MethodPost {
		if _, err := readJSON(c, maxBody, &in); err != nil {
			return in, search.Query{}, err
		}
		if in.Limit < 0 || in.Limit > search.MaxLimit {
			return in, search.Query{}, invalid("limit %d: want a whole number from 1 to %d", in.Limit, search.MaxLimit)
		}
	} else {
		p := c.QueryParams()
		limit, err := intQuery(c, "limit", search.DefaultLimit, 1, search.MaxLimit)
		if err != nil {
			return in, search.Query{}, err
		}
		in = runSearch{Filter: p.Get("filter"), OrderBy: p["order_by"], Experiments: p["experiments"], Archived: p.Get("archived"),
			Columns: p["columns"], GroupBy: p["group_by"], Name: p.Get("name"), Limit: limit, Cursor: p.Get("cursor")}
	}
	q, err := in.query()
	return in, q, err
}

func (in *runSearch) query() (q search.Query, err error) {
	q = search.Query{Experiments: in.Experiments, Archived: search.Archived(in.Archived), Limit: in.Limit, Cursor: in.Cursor}
	if q.Filter, err = query.Parse(in.Filter); err != nil {
		return q, misplaced("filter", err)
	}
	for _, text := range in.OrderBy {
		o, err := query.ParseOrder(text)
		if err != nil {
			return q, misplaced("order_by "+printed(text), err)
		}
		q.Order = append(q.Order, o)
	}
	q.Columns, err = keys("columns", in.Columns)
	return q, err
}

func keys(what string, texts []string) (out []query.Key, err error) {
	for _, text := range texts {
		k, err := query.ParseKey(text)
		if err != nil {
			return nil, misplaced(what+" "+printed(text), err)
		}
		out = append(out, k)
	}
	return out, nil
}

// printed is a text of a request as an error shows it.
func printed(text string) string {
	if len(text) > 100 {
		text = strings.ToValidUTF8(text[:100], "") + "…"
	}
	return "\"" + text + "\""
}

// misplaced is an error of the query language; its details hold the place, in characters from 1.
func misplaced(what string, err error) error {
	var at *query.Error
	if !errors.As(err, &at) {
		return err
	}
	e := experiments.Errorf(experiments.CodeInvalid, "%s: %w", what, at)
	e.Details = map[string]any{"at": at.At}
	return e
}

func (s *Server) searchRuns(c echo.Context) error {
	in, q, err := readSearch(c)
	if err != nil {
		return err
	}
	if len(in.GroupBy) > 0 || in.Name != "" {
		return invalid("group_by and name are of /runs/groups and /runs/columns")
	}
	got, err := s.store.Search(c.Request().Context(), q)
	if err != nil {
		return misplaced("filter", err)
	}
	return sendJSON(c, http.StatusOK, got)
}

func (s *Server) runColumns(c echo.Context) error {
	in, q, err := readSearch(c)
	if err != nil {
		return err
	}
	if len(in.GroupBy) > 0 || len(q.Order) > 0 || len(q.Columns) > 0 || in.Cursor != "" {
		return invalid("the columns of runs take filter, experiments, archived and name")
	}
	got, err := s.store.Columns(c.Request().Context(), q, in.Name)
	if err != nil {
		return misplaced("filter", err)
	}
	return sendJSON(c, http.StatusOK, got)
}

func (s *Server) runGroups(c echo.Context) error {
	in, q, err := readSearch(c)
	if err != nil {
		return err
	}
	by, err := keys("group_by", in.GroupBy)
	if err != nil {
		return err
	}
	if len(in.GroupBy) == 0 {
		return invalid("group_by is missing: which columns, such as params.lr")
	}
	got, err := s.store.Groups(c.Request().Context(), q, by)
	if err != nil {
		return misplaced("filter", err)
	}
	return sendJSON(c, http.StatusOK, got)
}
