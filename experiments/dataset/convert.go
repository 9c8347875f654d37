package dataset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/runtime/hfdataset"
	"triality/runtime/ordered"
)

// Options configures Prepare and Convert.
type Options struct {
	InputPath           string
	Format              string // instruction, chat or completion
	MaxLength           int    // tokens
	ValRatio, TestRatio float64
	Seed                uint64
	Strict              bool
	NoSplit             bool   // everything goes to train
	Audit               string // AuditOff, AuditWarn, AuditRedact or AuditRefuse; empty: off

	reports bool // what would be refused is said: the caller makes no data set
}

// Prepared is the rows with their splits, before any tokenizer is needed.
type Prepared struct {
	Rows
	Assign []int // split of each row, an index into SplitNames
	Near   Near
	Policy Policy
	found  findings
	extra  []extraColumn
	types  []string // what is to be said about extra
}

// Prepare reads the rows, finds near-duplicates and splits. What it finds is told as soon as it is found, so that
// it is heard whatever fails afterwards; tell may be nil.
func Prepare(ctx context.Context, o Options, tell Teller) (*Prepared, error) {
	if tell == nil {
		tell = silent{}
	}
	rows, err := Read(ctx, o.InputPath, o.Strict, tell)
	if err != nil {
		return nil, err
	}
	defer thrifty(rows.Bytes)()
	policy, err := police(ctx, rows.Rows, o.Audit)
	if err != nil {
		return nil, err
	}
	if places, n := teachesNSFW(rows.Rows); n > 0 {
		what := fmt.Sprintf("%d of %d rows are marked as sexual content and would teach to write it: %s", n, len(rows.Rows), strings.Join(places, ", "))
		if !o.reports {
			return nil, experiments.Errorf(experiments.CodeInvalid, "%s; such a row's answer is a class or a refusal: mend or remove them", what)
		}
		policy.said = append(policy.said, what)
	}
	p := &Prepared{Rows: rows, Assign: make([]int, len(rows.Rows)), Policy: policy, found: look(rows.Rows)}
	p.extra, p.types = extraColumns(rows.Rows)
	for _, n := range slices.Concat(p.Policy.said, p.found.said, p.types) {
		tell.Note(n)
	}
	if o.NoSplit {
		return p, nil
	}
	texts, groups := make([]string, len(rows.Rows)), make([]string, len(rows.Rows))
	for i := range rows.Rows {
		texts[i], groups[i] = rows.Rows[i].Text(), rows.Rows[i].Group
	}
	if p.Near, err = NearDuplicates(ctx, texts, groups, thirds(tell, len(texts), "looking for near-duplicates")); err != nil {
		return nil, err
	}
	if p.Near.Unproven > 0 {
		tell.Note(fmt.Sprintf("%d pairs of rows were kept in one split without being compared: too many rows are a little under 0.7 alike", p.Near.Unproven))
	}
	p.Assign, err = Split(rows.Rows, p.Near.Pairs, SplitOptions{ValRatio: o.ValRatio, TestRatio: o.TestRatio, Seed: o.Seed})
	return p, p.reason(err)
}

// thirds tells how far work is that counts rows three times.
func thirds(tell Teller, rows int, what string) func(int) {
	start := time.Now()
	return func(n int) {
		p := experiments.Progress{Done: int64(n / 3), Total: int64(rows), Unit: "texts", Note: what}
		p.Rate = float64(p.Done) / max(1e-9, time.Since(start).Seconds())
		tell.Progress(p)
	}
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
// the rows are not tokenized. tell may be nil.
func (p *Prepared) Convert(ctx context.Context, dir string, enc Encoder, o Options, tell Teller) (experiments.DatasetSummary, error) {
	if tell == nil {
		tell = silent{}
	}
	format, err := NewFormat(o.Format, enc)
	if err != nil {
		return experiments.DatasetSummary{}, p.reason(err)
	}
	defer thrifty(p.Bytes)()
	sum := p.summary(o)
	w := &writer{Prepared: p, ctx: ctx, enc: enc, format: format, length: o.MaxLength, tell: tell, began: time.Now()}
	var splits []hfdataset.Batches
	for s, name := range SplitNames {
		if rows := p.Of(s); len(rows) > 0 {
			sum.Splits = append(sum.Splits, experiments.SplitSummary{Name: name, Labels: map[string]int{}})
			w.splits = append(w.splits, splitWriter{writer: w, rows: rows, groups: map[string]bool{}})
			splits = append(splits, hfdataset.Batches{Name: name, Columns: schema(p.extra, enc != nil)})
		}
	}
	for i := range w.splits {
		w.splits[i].info = &sum.Splits[i]
		next, stop := w.splits[i].batches()
		defer stop()
		splits[i].Next = next
	}
	if err := hfdataset.WriteBatches(dir, splits); err != nil {
		return sum, p.reason(err)
	}
	sum.Dropped = w.dropped
	w.enc, w.format = nil, nil // the tokenizer may be large
	sum.Missing = missing(sum.Splits)
	for _, m := range sum.Missing {
		tell.Note(m)
	}
	err = w.leaks(&sum)
	return sum, err
}

// leaks compares what was written of each split with what was written of those after it, whatever the split was
// made by.
func (w *writer) leaks(sum *experiments.DatasetSummary) error {
	for i := range w.splits[:max(1, len(w.splits))-1] {
		var after []*Row
		for _, later := range w.splits[i+1:] {
			after = append(after, later.written...)
		}
		of := w.splits[i].written
		o, err := Compare(w.ctx, of, after, thirds(w.tell, len(of)+len(after), "looking for rows of "+w.splits[i].info.Name+" in later splits"))
		if err != nil {
			return err
		}
		sum.Leaks += o.Either
		sum.Unproven += o.Unproven
	}
	return nil
}

func (p *Prepared) summary(o Options) experiments.DatasetSummary {
	s := experiments.DatasetSummary{
		Files: p.Files, Rows: len(p.Rows.Rows), Skipped: p.Skipped, Seed: o.Seed, Problems: p.Problems[:min(50, len(p.Problems))],
		Languages: map[string]int{}, Domains: map[string]map[string]int{},
		Duplicates: len(p.Near.Pairs), Contradictions: p.found.contradictions, Mismatches: p.found.mismatches,
		Findings: slices.Concat(p.Policy.said, p.found.said, p.types, p.Notes),
		Audit:    p.Policy.Audit, Personal: p.Policy.Personal, PersonalRows: p.Policy.PersonalRows,
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
	return s
}

// batchRows is how many rows are rendered and tokenized at once by one goroutine.
const batchRows = 250

// writer writes prepared rows.
type writer struct {
	*Prepared
	ctx     context.Context
	enc     Encoder // nil: text only
	format  *Format
	length  int
	tell    Teller
	began   time.Time
	splits  []splitWriter
	done    int // rows
	dropped int
}

// splitWriter writes one split.
type splitWriter struct {
	*writer
	rows, written []*Row
	groups        map[string]bool
	info          *experiments.SplitSummary
}

// errStopped ends the making of batches that nobody wants.
var errStopped = errors.New("stopped")

// batches makes the split's columns on all processors, ahead of who calls next.
func (s *splitWriter) batches() (next func() ([]hfdataset.Column, error), stop func()) {
	made, quit, ended := make(chan []hfdataset.Column), make(chan struct{}), make(chan error, 1)
	started := false
	run := func() {
		n := (len(s.rows) + batchRows - 1) / batchRows
		ended <- ordered.Run(n, func(i int, t *table) error {
			return s.encode(s.rows[i*batchRows:min((i+1)*batchRows, len(s.rows))], t)
		}, func(i int, t *table) error {
			s.count(t, min((i+1)*batchRows, len(s.rows))-i*batchRows)
			select {
			case made <- t.columns(s.extra, s.enc != nil):
				return nil
			case <-quit:
				return errStopped
			}
		})
		close(made)
	}
	next = func() ([]hfdataset.Column, error) {
		if !started {
			started = true
			go run()
		}
		if columns, ok := <-made; ok {
			return columns, nil
		}
		err := <-ended
		ended <- err
		if err == nil && s.info.Rows == 0 {
			err = experiments.Errorf(experiments.CodeInvalid,
				"data.max_length: no row of the %s split fits in %d tokens with its answer; raise it", s.info.Name, s.length)
		}
		return nil, err
	}
	stop = func() {
		close(quit)
		if started {
			<-ended
		}
	}
	return next, stop
}

// encode renders and tokenizes rows; those whose answer does not fit are left out.
func (s *splitWriter) encode(rows []*Row, t *table) error {
	*t = table{text: make([]string, 0, len(rows))} // what was there is being written
	for _, r := range rows {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		var e Encoded
		ok := true
		var err error
		if s.enc != nil {
			e, ok, err = s.format.Encode(s.enc, r, s.length)
		}
		text, textErr := s.format.Text(r)
		if err = errors.Join(err, textErr); err != nil {
			return experiments.Errorf(experiments.CodeInvalid, "%s: %w", r.where(), err)
		}
		if ok {
			t.rows, t.text, t.encoded = append(t.rows, r), append(t.text, text), append(t.encoded, e)
		}
	}
	return nil
}

// count takes a finished batch of n rows into the summary.
func (s *splitWriter) count(t *table, n int) {
	for i, r := range t.rows {
		s.info.Rows++
		s.info.Tokens += int64(len(t.encoded[i].IDs))
		s.info.Labels[r.Label]++
		s.groups[r.groupName()] = true
	}
	s.info.Groups = len(s.groups)
	s.written = append(s.written, t.rows...)
	s.dropped += n - len(t.rows)
	s.done += n
	s.tell.Progress(experiments.Progress{Done: int64(s.done), Total: int64(len(s.Rows.Rows)), Unit: "rows", Rate: float64(s.done) / max(1e-9, time.Since(s.began).Seconds())})
}
