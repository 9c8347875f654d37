package search

import (
	"errors"
	"strings"

	"triality/experiments"
	"triality/server/search/query"
)

// Request is a search as clients write it.
type Request struct {
	Filter      string   `json:"filter,omitempty"`
	OrderBy     []string `json:"order_by,omitempty"` // keys, each with ASC or DESC after it
	Experiments []string `json:"experiments,omitempty"`
	Archived    Archived `json:"archived,omitempty"`
	Columns     []string `json:"columns,omitempty"`
	Limit       int      `json:"limit,omitempty"`
	Cursor      string   `json:"cursor,omitempty"`
	Offset      *int     `json:"offset,omitempty"`   // in place of a cursor: the page begins so many runs after the first
	Snapshot    string   `json:"snapshot,omitempty"` // with an offset: of an earlier answer, whose order stays
	Form        string   `json:"form,omitempty"`     // table: rows and values column by column in place of items
	Vary        int      `json:"vary,omitempty"`     // so many parameters and tags that differ are wanted
}

// Query reads the request's texts. Errors are CodeInvalid, with the place in characters from 1 in their details.
func (in Request) Query() (q Query, err error) {
	q = Query{Experiments: in.Experiments, Archived: in.Archived, Limit: in.Limit, Cursor: in.Cursor,
		Offset: in.Offset, Snapshot: in.Snapshot, Table: in.Form == "table", Vary: min(in.Vary, MaxLimit)}
	if in.Form != "" && in.Form != "table" {
		return q, experiments.Errorf(experiments.CodeInvalid, "form=%.40q: want table, or nothing", in.Form)
	}
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
	q.Columns, err = Keys("columns", in.Columns)
	return q, err
}

// Keys reads keys; what they are for names them in an error.
func Keys(what string, texts []string) (out []query.Key, err error) {
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
func printed(text string) string { return "\"" + cut(text) + "\"" }

// cut shortens a long text.
func cut(text string) string {
	if len(text) <= 100 {
		return text
	}
	return strings.ToValidUTF8(text[:100], "") + "…"
}

// misplaced is an error of the query language with its place.
func misplaced(what string, err error) error {
	var at *query.Error
	if !errors.As(err, &at) {
		return err
	}
	e := experiments.Errorf(experiments.CodeInvalid, "%s: %w", what, at)
	e.Details = map[string]any{"at": at.At}
	return e
}
