package dataset

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"triality/experiments"
	"triality/runtime/hfdataset"
)

// Options configures Prepare and Convert.
type Options struct {
	InputPath           string
	Format              string // instruction, chat or completion
	MaxLength           int    // tokens
	ValRatio, TestRatio float64
	Seed                uint64
	Strict              bool
	NoSplit             bool // everything goes to train
}

// Prepared is the rows with their splits, before any tokenizer is needed.
type Prepared struct {
	Rows
	Assign []int // split of each row, an index into SplitNames
	Near   []Pair
}

// Prepare reads the rows, finds near-duplicates and splits.
func Prepare(o Options) (*Prepared, error) {
	rows, err := Read(o.InputPath, o.Strict)
	if err != nil {
		return nil, err
	}
	p := &Prepared{Rows: rows, Assign: make([]int, len(rows.Rows))}
	texts := make([]string, len(rows.Rows))
	for i := range rows.Rows {
		texts[i] = rows.Rows[i].Text()
	}
	p.Near = NearDuplicates(texts)
	if o.NoSplit {
		return p, nil
	}
	p.Assign, err = Split(rows.Rows, p.Near, SplitOptions{ValRatio: o.ValRatio, TestRatio: o.TestRatio, Seed: o.Seed})
	return p, err
}

// Of gives the rows of a split, in file order.
func (p *Prepared) Of(split int) []*Row {
	var out []*Row
	for i := range p.Rows.Rows {
		if p.Assign[i] == split {
			out = append(out, &p.Rows.Rows[i])
		}
	}
	return out
}

// Convert writes the prepared rows as a Hugging Face dataset at dir, whole or not at all. With enc nil
// the rows are not tokenized. progress may be nil.
func (p *Prepared) Convert(ctx context.Context, dir string, enc Encoder, o Options, progress func(done, total int)) (experiments.DatasetSummary, error) {
	format, err := NewFormat(o.Format, enc)
	if err != nil {
		return experiments.DatasetSummary{}, err
	}
	sum := p.summary(o)
	var splits []hfdataset.Split
	done := 0
	for s, name := range SplitNames {
		rows := p.Of(s)
		if len(rows) == 0 {
			continue
		}
		t := table{extra: p.extraNames()}
		info := experiments.SplitSummary{Name: name, Labels: map[string]int{}}
		groups := map[string]bool{}
		for _, r := range rows {
			if err := ctx.Err(); err != nil {
				return sum, err
			}
			done++
			if progress != nil && done%64 == 0 {
				progress(done, len(p.Rows.Rows))
			}
			var e Encoded
			ok := true
			if enc != nil {
				e, ok, err = format.Encode(enc, r, o.MaxLength)
			}
			text, textErr := format.Text(r)
			if err = errors.Join(err, textErr); err != nil {
				return sum, experiments.Errorf(experiments.CodeInvalid, "%s:%d: %w", r.File, r.Line, err)
			}
			if !ok {
				sum.Dropped++
				continue
			}
			t.add(r, text, e)
			info.Rows++
			info.Tokens += int64(len(e.IDs))
			info.Labels[r.Label]++
			groups[r.groupName()] = true
		}
		if info.Rows == 0 {
			return sum, experiments.Errorf(experiments.CodeInvalid,
				"data.max_length: no row of the %s split fits in %d tokens with its answer; raise it", name, o.MaxLength)
		}
		info.Groups = len(groups)
		sum.Splits = append(sum.Splits, info)
		splits = append(splits, hfdataset.Split{Name: name, Columns: t.columns(enc != nil)})
	}
	if progress != nil {
		progress(done, len(p.Rows.Rows))
	}
	if err := hfdataset.Write(dir, splits); err != nil {
		return sum, fmt.Errorf("write dataset: %w", err)
	}
	return sum, nil
}

func (p *Prepared) summary(o Options) experiments.DatasetSummary {
	const listed = 50
	s := experiments.DatasetSummary{
		Files: p.Files, Rows: len(p.Rows.Rows), Skipped: len(p.Problems), Seed: o.Seed,
		Problems:  p.Problems[:min(listed, len(p.Problems))],
		Languages: map[string]int{}, Domains: map[string]map[string]int{},
	}
	groups := map[string]bool{}
	for i := range p.Rows.Rows {
		r := &p.Rows.Rows[i]
		groups[r.groupName()] = true
		s.Languages[r.Language]++
		if s.Domains[r.Domain] == nil {
			s.Domains[r.Domain] = map[string]int{}
		}
		s.Domains[r.Domain][r.Label]++
	}
	s.Groups = len(groups)
	for _, pair := range p.Near {
		a, b := &p.Rows.Rows[pair.I], &p.Rows.Rows[pair.J]
		if a.groupName() != b.groupName() {
			s.Duplicates++
		}
		if p.Assign[pair.I] != p.Assign[pair.J] {
			s.Leaks++
		}
	}
	return s
}

// extraNames lists the fields that the schema does not know, over all rows.
func (p *Prepared) extraNames() []string {
	set := map[string]bool{}
	for i := range p.Rows.Rows {
		for name := range p.Rows.Rows[i].Extra {
			set[name] = true
		}
	}
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
