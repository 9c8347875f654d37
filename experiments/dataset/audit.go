package dataset

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"triality/experiments"
)

// Audit is what Prepare and package audit find in rows, as a table to read before training on them.
type Audit struct {
	Files          []string                  `json:"files"`
	Rows           int                       `json:"rows"`
	Skipped        int                       `json:"skipped"`        // bad lines
	Personal       map[string]int            `json:"personal"`       // findings by kind
	PersonalRows   int                       `json:"personal_rows"`  // rows with any
	Found          []string                  `json:"found"`          // "file:line: field: kind", the first of them; never the data itself
	Duplicates     int                       `json:"duplicates"`     // rows joined to a near-duplicate of another group, which a split by group alone would part
	Contradictions int                       `json:"contradictions"` // texts with several labels
	Mismatches     int                       `json:"mismatches"`     // outputs that name another class than the label
	Findings       []string                  `json:"findings"`
	Labels         map[string]int            `json:"labels"`
	Languages      map[string]map[string]int `json:"languages"`  // by label
	Characters     Lengths                   `json:"characters"` // of instruction, input and output together
	NoLicence      int                       `json:"rows_without_licence"`
	NoSource       int                       `json:"rows_without_source"`
}

// Lengths are of rows.
type Lengths struct {
	Median  int `json:"median"`
	P95     int `json:"p95"`
	Longest int `json:"longest"`
}

// licences and sources are the fields that say where a row comes from.
var (
	licences = []string{"license", "licence"}
	sources  = []string{"source", "source_url", "origin"}
)

// foundListed bounds how many findings are named.
const foundListed = 100

// AuditRows reads rows and looks for what should not be trained on, or not without knowing.
func AuditRows(ctx context.Context, input string, strict bool, tell Teller) (*Audit, error) {
	p, err := Prepare(ctx, Options{InputPath: input, Strict: strict, reports: true}, tell)
	if err != nil {
		return nil, err
	}
	a := &Audit{
		Files: p.Files, Rows: len(p.Rows.Rows), Skipped: p.Skipped, Duplicates: len(p.Near.Pairs), Contradictions: p.found.contradictions,
		Mismatches: p.found.mismatches, Findings: slices.Concat(p.Policy.said, p.found.said, p.types, p.Notes),
		Personal: map[string]int{}, Labels: map[string]int{}, Languages: map[string]map[string]int{}, Found: []string{},
	}
	lengths := make([]int, 0, a.Rows)
	for i := range p.Rows.Rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		r := &p.Rows.Rows[i]
		a.personal(r)
		a.Labels[r.Label]++
		if a.Languages[r.Label] == nil {
			a.Languages[r.Label] = map[string]int{}
		}
		a.Languages[r.Label][r.Language]++
		lengths = append(lengths, utf8.RuneCountInString(r.Instruction)+utf8.RuneCountInString(r.Input)+utf8.RuneCountInString(r.Output))
		if !r.says(licences) {
			a.NoLicence++
		}
		if r.Group == "" && !r.says(sources) {
			a.NoSource++
		}
	}
	slices.Sort(lengths)
	last := len(lengths) - 1
	a.Characters = Lengths{lengths[last/2], lengths[last*95/100], lengths[last]}
	for _, label := range experiments.Labels {
		if a.Labels[label] == 0 {
			a.Findings = append(a.Findings, "no row is "+label)
		}
	}
	return a, nil
}

func (a *Audit) personal(r *Row) {
	if r.personal(func(field, kind string) {
		a.Personal[kind]++
		if len(a.Found) < foundListed {
			a.Found = append(a.Found, fmt.Sprintf("%s: %s: %s", r.where(), field, kind))
		}
	}) {
		a.PersonalRows++
	}
}

// says whether any of these fields has a text.
func (r *Row) says(names []string) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		v, ok := r.Get(n)
		return ok && v.Kind == String && v.Text != ""
	})
}
