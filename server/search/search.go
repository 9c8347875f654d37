package search

import (
	"context"
	"time"

	"triality/experiments"
	"triality/server/search/query"
)

// Limits of a search.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
	MaxColumns   = 20_000
	MaxOrders    = 8
)

// Archived says which runs a search sees.
type Archived string

// The choices. The zero value is without.
const (
	Without Archived = ""
	Also    Archived = "also"
	Only    Archived = "only"
)

// Query is a search. The zero value finds every run that is not archived, the newest first.
type Query struct {
	Filter      query.Node // nil: every run
	Order       []query.Order
	Experiments []string // ids; none: all
	Archived    Archived
	Columns     []query.Key
	Limit       int
	Cursor      string // of the page before
	Offset      *int   // not nil: the page that begins so many runs after the first, in place of a cursor's
	Snapshot    string // with Offset: of an earlier answer, so that the order is that one's
	Table       bool   // the page column by column
	Vary        int    // so many parameters and tags that differ are wanted
	Now         time.Time
}

// Row is a run as a search gives it.
type Row struct {
	ID           string             `json:"id"`
	Name         string             `json:"name"`
	ExperimentID string             `json:"experiment_id"`
	Experiment   string             `json:"experiment"` // its name
	Status       experiments.Status `json:"status"`
	CreatedAt    time.Time          `json:"created_at"`
	StartedAt    time.Time          `json:"started_at,omitzero"`
	EndedAt      time.Time          `json:"ended_at,omitzero"`
	Archived     bool               `json:"archived,omitempty"`
	Notes        bool               `json:"notes,omitempty"` // it has some
	ParentID     string             `json:"parent_id,omitempty"`
	Children     int                `json:"children,omitempty"` // runs that name it as their parent
	// Values are those of the asked columns that the run has, under the columns' full names. A number that is not
	// finite is the string NaN, Infinity or -Infinity.
	Values  map[string]any `json:"values"`
	Removed bool           `json:"removed,omitempty"` // since the snapshot was made
}

// Result is a page of runs.
type Result struct {
	Items   []Row    `json:"items"`
	Next    string   `json:"next_cursor"`
	Total   int      `json:"total"`   // runs that match, on all pages
	Columns []string `json:"columns"` // full names of the asked columns, in the order asked
	Notes   []Note   `json:"notes"`
	// Revision grows whenever anything that is searched changes, and begins anew with the server.
	Revision uint64    `json:"revision"`
	Offset   *int      `json:"offset,omitempty"`
	Snapshot string    `json:"snapshot,omitempty"`
	Varying  []Varying `json:"varying,omitempty"`
	Rows     *Table    `json:"rows,omitempty"`   // in place of Items
	Cells    [][]any   `json:"values,omitempty"` // with Rows: one list for each of Columns
}

// Search gives a page of the runs that match. What is wrong with the query is CodeInvalid, an experiment that is not
// there CodeNotFound.
func (x *Index) Search(ctx context.Context, q Query) (Result, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	from, err := q.begin()
	if err != nil {
		return Result{}, err
	}
	out := Result{Items: []Row{}, Columns: []string{}, Revision: x.revision}
	var r *resolver
	var page []uint32
	if q.Offset != nil {
		if r, page, out.Total, err = x.window(&q); err != nil {
			return Result{}, err
		}
		out.Offset, out.Snapshot = q.Offset, q.Snapshot
	} else {
		var matched rowset
		if r, matched, err = x.matched(q); err != nil {
			return Result{}, err
		}
		out.Total = matched.count()
		var next *cursor
		if page, next = r.order(q.Order).page(matched.list(), from, q.Limit); next != nil {
			next.Now, next.Of = q.Now, q.digest()
			out.Next = next.String()
		}
	}
	if q.Vary > 0 {
		_, matched, err := x.matched(q)
		if err != nil {
			return Result{}, err
		}
		out.Varying = x.varying(matched, q.Vary)
	}
	columns := make([]*column, len(q.Columns))
	for i, k := range q.Columns {
		columns[i] = r.column(k)
		out.Columns = append(out.Columns, columns[i].key.String())
	}
	if q.Table {
		out.Rows, out.Cells = r.table(page), r.cells(page, columns)
		out.Notes = append([]Note{}, r.notes...)
		return out, nil
	}
	for _, at := range page {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		out.Items = append(out.Items, r.row(at, len(columns)))
	}
	r.fill(out.Items, page, columns, out.Columns)
	out.Notes = append([]Note{}, r.notes...)
	return out, nil
}

// Matching gives the ids of all runs that match, in no order.
func (x *Index) Matching(ctx context.Context, q Query) ([]string, error) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if _, err := q.begin(); err != nil {
		return nil, err
	}
	_, matched, err := x.matched(q)
	if err != nil {
		return nil, err
	}
	rows := matched.list()
	out := make([]string, len(rows))
	for i, at := range rows {
		out[i] = x.rows[at].id
	}
	return out, ctx.Err()
}

// begin checks a query, sets what is left out and reads its cursor.
func (q *Query) begin() (*cursor, error) {
	if q.Limit <= 0 {
		q.Limit = DefaultLimit
	}
	q.Limit = min(q.Limit, MaxLimit)
	switch {
	case len(q.Columns) > MaxColumns:
		return nil, experiments.Errorf(experiments.CodeInvalid, "columns: %d, at most %d", len(q.Columns), MaxColumns)
	case len(q.Order) > MaxOrders:
		return nil, experiments.Errorf(experiments.CodeInvalid, "order_by: %d keys, at most %d", len(q.Order), MaxOrders)
	}
	if q.Offset != nil && (*q.Offset < 0 || q.Cursor != "") || q.Offset == nil && q.Snapshot != "" {
		return nil, experiments.Errorf(experiments.CodeInvalid, "offset: want a whole number from 0 in place of a cursor; a snapshot goes with an offset")
	}
	if q.Now.IsZero() {
		q.Now = time.Now()
	}
	if q.Cursor == "" {
		return nil, nil
	}
	from, err := readCursor(q.Cursor, q.digest(), len(q.Order))
	if err != nil {
		return nil, err
	}
	q.Now = from.Now // so that durations and "-7d" mean what they meant on the first page
	return from, nil
}

// matched gives the rows for which the query's filter holds.
func (x *Index) matched(q Query) (*resolver, rowset, error) {
	scope, err := x.scope(q.Experiments, q.Archived)
	if err != nil {
		return nil, nil, err
	}
	r := x.resolver(scope, q.Now)
	if q.Filter == nil {
		return r, scope, nil
	}
	matched, err := r.filter(q.Filter)
	if err != nil {
		return nil, nil, misplaced("filter", err)
	}
	return r, matched, nil
}

// scope is the runs that a search is about.
func (x *Index) scope(ids []string, archived Archived) (rowset, error) {
	switch archived {
	case Without, Also, Only:
	default:
		return nil, experiments.Errorf(experiments.CodeInvalid, "archived=%.40q: want also or only, or nothing", string(archived))
	}
	var of map[*experiment]bool
	if len(ids) > 0 {
		of = map[*experiment]bool{}
	}
	for _, id := range ids {
		e := x.experiments[id]
		if e == nil || !e.known {
			return nil, experiments.Errorf(experiments.CodeNotFound, "no experiment %q", id)
		}
		of[e] = true
	}
	out := newRowset(len(x.rows))
	for i := range x.rows {
		row := &x.rows[i]
		if row.removed || !row.experiment.known || of != nil && !of[row.experiment] {
			continue
		}
		// An archived experiment that is asked for by name shows its runs.
		hidden := row.archived || row.experiment.archived && of == nil
		if archived == Also || hidden == (archived == Only) {
			out.add(uint32(i))
		}
	}
	return out, nil
}

// fill sets the values of a page's rows, column by column: of thousands, each is had by few runs.
func (r *resolver) fill(items []Row, page []uint32, columns []*column, names []string) {
	places := make(map[uint32]int, len(page))
	for i, at := range page {
		places[at] = i
	}
	for n, c := range columns {
		if held := c.held(); len(held) < 4*len(page) && c.attr == "" {
			for _, at := range held {
				if r.x.rows[at].removed {
					continue
				}
				if i, ok := places[at]; ok {
					items[i].set(names[n], r.json(c, at))
				}
			}
			continue
		}
		for i, at := range page {
			if !items[i].Removed {
				items[i].set(names[n], r.json(c, at))
			}
		}
	}
}

// held are the rows that have a value in a metric, parameter or tag.
func (c *column) held() []uint32 {
	switch {
	case c.metric != nil:
		return c.metric.rows
	case c.text != nil:
		return c.text.rows
	}
	return nil
}

func (r *Row) set(name string, v any) {
	if v != nil {
		r.Values[name] = v
	}
}

func (r *resolver) row(at uint32, columns int) Row {
	run := &r.x.rows[at]
	if run.removed {
		return Row{ID: run.id, Removed: true, Values: map[string]any{}}
	}
	out := Row{
		ID: run.id, Name: run.name, ExperimentID: run.experiment.id, Experiment: run.experiment.name, Status: run.status,
		CreatedAt: time.UnixMicro(run.created).UTC(), Archived: run.archived, Notes: run.notes != "",
		ParentID: run.parent, Children: r.x.children[run.id],
		Values: make(map[string]any, min(columns, 64)),
	}
	if run.started != 0 {
		out.StartedAt = time.UnixMicro(run.started).UTC()
	}
	if run.ended != 0 {
		out.EndedAt = time.UnixMicro(run.ended).UTC()
	}
	return out
}
