package search

import (
	"cmp"
	"slices"

	"triality/server/search/query"
)

// Table is a page of runs column by column, for tables of many rows. Times are milliseconds since 1970, 0 where there is
// none.
type Table struct {
	ID           []string `json:"id"`
	Name         []string `json:"name"`
	Status       []string `json:"status"`
	ExperimentID []string `json:"experiment_id"`
	CreatedAt    []int64  `json:"created_at"`
	StartedAt    []int64  `json:"started_at"`
	EndedAt      []int64  `json:"ended_at"`
	Archived     []bool   `json:"archived"`
	ParentID     []string `json:"parent_id"`
	Children     []int    `json:"children"`
	Notes        []bool   `json:"notes"`
	Removed      []bool   `json:"removed"` // since the snapshot was made; its other columns are empty
}

func (r *resolver) table(page []uint32) *Table {
	t := &Table{ID: []string{}, Name: []string{}, Status: []string{}, ExperimentID: []string{}, CreatedAt: []int64{}, StartedAt: []int64{},
		EndedAt: []int64{}, Archived: []bool{}, ParentID: []string{}, Children: []int{}, Notes: []bool{}, Removed: []bool{}}
	for _, at := range page {
		run := &r.x.rows[at]
		experiment := run.experiment.id
		if run.removed {
			experiment = ""
		}
		t.ID, t.Name, t.Status = append(t.ID, run.id), append(t.Name, run.name), append(t.Status, string(run.status))
		t.ExperimentID, t.ParentID = append(t.ExperimentID, experiment), append(t.ParentID, run.parent)
		t.CreatedAt, t.StartedAt, t.EndedAt = append(t.CreatedAt, run.created/1000), append(t.StartedAt, run.started/1000), append(t.EndedAt, run.ended/1000)
		t.Archived, t.Notes, t.Removed = append(t.Archived, run.archived), append(t.Notes, run.notes != ""), append(t.Removed, run.removed)
		t.Children = append(t.Children, r.x.children[run.id])
	}
	return t
}

// cells gives each column's values of a page, nil where a run has none.
func (r *resolver) cells(page []uint32, columns []*column) [][]any {
	out := make([][]any, len(columns))
	for n, c := range columns {
		out[n] = make([]any, len(page))
		for i, at := range page {
			if !r.x.rows[at].removed {
				out[n][i] = r.json(c, at)
			}
		}
	}
	return out
}

// Varying is a parameter or tag that differs among the matched runs.
type Varying struct {
	Key      string     `json:"key"`
	Kind     query.Kind `json:"kind"`
	Distinct int        `json:"distinct"` // values; 1000: or more
	Runs     int        `json:"runs"`     // that have it
}

// varying lists the parameters that differ, then the tags: those that tell runs apart in groups before those that are
// of each run its own, and those that more runs have before others. At most so many.
func (x *Index) varying(matched rowset, most int) []Varying {
	out := []Varying{}
	total := matched.count()
	for _, c := range x.texts {
		f := textFacet(c, matched)
		if f.Distinct > 1 || f.Runs > 0 && f.Runs < total {
			out = append(out, Varying{query.Key{Kind: f.Kind, Name: f.Name}.String(), f.Kind, f.Distinct, f.Runs})
		}
	}
	rank := func(v Varying) int {
		n := 0
		if v.Kind == query.Tag {
			n = 2
		}
		if v.Distinct < 2 || v.Distinct > 50 {
			n++
		}
		return n
	}
	slices.SortFunc(out, func(a, b Varying) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Runs, a.Runs), cmp.Compare(a.Key, b.Key))
	})
	return out[:min(len(out), most)]
}
