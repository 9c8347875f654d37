package dataset

import (
	"fmt"
	"slices"
	"strings"

	"triality/experiments"
	"triality/runtime/hfdataset"
)

// Names of the columns that the convert step adds to the row's own fields.
const (
	columnText      = "text" // prompt and answer
	columnIDs       = "input_ids"
	columnAttention = "attention_mask"
	columnLabels    = "labels" // −100 on the prompt, as Hugging Face trainers mask it
)

// masked is Hugging Face's label of a token that is not trained on.
const masked = -100

// fields are the schema's columns and where a row keeps them.
var fields = []struct {
	name string
	at   func(*Row) *string
}{
	{"instruction", func(r *Row) *string { return &r.Instruction }},
	{"input", func(r *Row) *string { return &r.Input }},
	{"output", func(r *Row) *string { return &r.Output }},
	{"four_class_label", func(r *Row) *string { return &r.Label }},
	{"domain_label", func(r *Row) *string { return &r.Domain }},
	{"safety_label", func(r *Row) *string { return &r.Safety }},
	{"thinking_format", func(r *Row) *string { return &r.Thinking }},
	{"source_sample", func(r *Row) *string { return &r.Group }},
	{"language", func(r *Row) *string { return &r.Language }},
}

// ownColumns are the names that the convert step itself uses.
func ownColumns() map[string]bool {
	own := map[string]bool{columnText: true, columnIDs: true, columnAttention: true, columnLabels: true}
	for _, f := range fields {
		own[f.name] = true
	}
	return own
}

// table is rows as the dataset has them.
type table struct {
	rows    []*Row
	text    []string
	encoded []Encoded
}

// schema is the dataset's columns without their values.
func schema(extra []extraColumn, tokenized bool) []hfdataset.Column {
	var t table
	return t.columns(extra, tokenized)
}

func (t *table) columns(extra []extraColumn, tokenized bool) []hfdataset.Column {
	var out []hfdataset.Column
	for _, f := range fields {
		values := make([]string, len(t.rows))
		for i, r := range t.rows {
			values[i] = *f.at(r)
		}
		out = append(out, hfdataset.Strings(f.name, values))
	}
	for i := range extra {
		out = append(out, extra[i].values(t.rows))
	}
	out = append(out, hfdataset.Strings(columnText, t.text))
	if !tokenized {
		return out
	}
	ids, attention, labels := make([][]int32, len(t.rows)), make([][]int32, len(t.rows)), make([][]int32, len(t.rows))
	for i, e := range t.encoded {
		ids[i] = e.IDs
		attention[i], labels[i] = slices.Repeat([]int32{1}, len(e.IDs)), slices.Clone(e.IDs)
		for k := range e.Prompt {
			labels[i][k] = masked
		}
	}
	return append(out, hfdataset.Lists(columnIDs, ids), hfdataset.Lists(columnAttention, attention), hfdataset.Lists(columnLabels, labels))
}

// Stored is one split of a dataset on disk.
type Stored struct {
	Rows   []Row
	IDs    [][]int32 // nil when the dataset was not tokenized
	Labels [][]int32
}

// Open reads the splits of a dataset that Convert wrote, or that has its columns.
func Open(dir string) (map[string]*Stored, error) {
	splits, err := hfdataset.Read(dir)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "open dataset: %w", err)
	}
	out := map[string]*Stored{}
	for i := range splits {
		s, err := openSplit(&splits[i])
		if err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "open dataset %s: split %s: %w", dir, splits[i].Name, err)
		}
		out[splits[i].Name] = s
	}
	return out, nil
}

func openSplit(split *hfdataset.Split) (*Stored, error) {
	s := &Stored{Rows: make([]Row, split.Rows())}
	for _, f := range fields {
		c := split.Column(f.name)
		if c == nil {
			continue
		}
		if c.Kind != hfdataset.String {
			return nil, fmt.Errorf("column %s is %v, want text", f.name, c.Kind)
		}
		for i := range s.Rows {
			*f.at(&s.Rows[i]) = c.Strings[i]
		}
	}
	own := ownColumns()
	for i := range split.Columns {
		if c := &split.Columns[i]; !own[c.Name] && c.Kind != hfdataset.ListInt32 {
			s.addExtra(c)
		}
	}
	for i := range s.Rows {
		slices.SortFunc(s.Rows[i].Extra, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	}
	for i := range s.Rows {
		if experiments.LabelIndex(s.Rows[i].Label) < 0 {
			return nil, fmt.Errorf("row %d: column four_class_label: unknown label %q", i, s.Rows[i].Label)
		}
	}
	ids, labels := split.Column(columnIDs), split.Column(columnLabels)
	if ids == nil || labels == nil {
		return s, nil
	}
	if ids.Kind != hfdataset.ListInt32 || labels.Kind != hfdataset.ListInt32 {
		return nil, fmt.Errorf("columns %s and %s must be lists of integers", columnIDs, columnLabels)
	}
	s.IDs, s.Labels = ids.Lists, labels.Lists
	for i := range s.IDs {
		if len(s.IDs[i]) != len(s.Labels[i]) {
			return nil, fmt.Errorf("row %d: %s has %d values, %s has %d", i, columnIDs, len(s.IDs[i]), columnLabels, len(s.Labels[i]))
		}
	}
	return s, nil
}

// addExtra takes over a column that the schema does not know; a row without a value does not get the field.
func (s *Stored) addExtra(c *hfdataset.Column) {
	for i := range s.Rows {
		if v := valueAt(c, i); v.Kind != Null {
			s.Rows[i].Extra = append(s.Rows[i].Extra, Field{c.Name, v})
		}
	}
}
