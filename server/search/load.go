package search

import (
	"maps"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/server/search/query"
)

// Load fills an empty index: load is called with what takes everything there is. Searches wait until it has ended. On an
// error the index is empty again.
func (x *Index) Load(load func(l *Loader) error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	err := load(&Loader{x: x})
	if err != nil {
		fresh := New()
		x.experiments, x.rows, x.byID, x.removed = fresh.experiments, nil, fresh.byID, 0
		x.metrics, x.texts, x.modules, x.children = fresh.metrics, fresh.texts, fresh.modules, fresh.children
	}
	return err
}

// Loader fills an index that is being loaded. The runs are announced first; then they and parts of their series may be
// added at the same time, the runs by one goroutine and each part by one.
type Loader struct {
	x     *Index
	cells []*textColumn // of the run before, in its order: the next mostly has the same
	at    int
}

// Experiment adds an experiment.
func (l *Loader) Experiment(e *experiments.Experiment) { l.x.putExperiment(e) }

// Module adds a module.
func (l *Loader) Module(m *experiments.Module) { l.x.putModule(m) }

// Announce tells the ids of the runs, in the order in which their series come.
func (l *Loader) Announce(ids []string) {
	l.x.rows = make([]row, len(ids), len(ids)+len(ids)/8)
	l.x.byID = make(map[string]uint32, len(ids)+len(ids)/8)
	for i, id := range ids {
		l.x.byID[id] = uint32(i)
	}
}

// Run adds a run that was announced.
func (l *Loader) Run(r *Record) {
	l.at = 0
	l.x.put(r, l.column)
	l.cells = l.x.rows[l.x.byID[r.ID]].cells
}

func (l *Loader) column(kind query.Kind, name string) *textColumn {
	at := l.at
	l.at++
	if at < len(l.cells) && l.cells[at].name == name && l.cells[at].kind == kind {
		return l.cells[at]
	}
	return l.x.textColumn(kind, name)
}

// Part takes the series of some of the runs.
func (l *Loader) Part() *Part { return &Part{x: l.x, columns: map[string]*metricColumn{}} }

// Part is filled with series apart from other parts. Those of one run come together, and the runs in the order in which
// they were announced.
type Part struct {
	x       *Index
	columns map[string]*metricColumn
	run     []byte
	row     uint32
	ok      bool
	next    map[*metricColumn]*metricColumn // the column that came after one in the run before
	last    *metricColumn
}

// Series adds a series. The slices are not kept. A run that is not known is passed over.
func (p *Part) Series(run, name []byte, s Stats) {
	if string(run) != string(p.run) || p.run == nil {
		p.run = append(p.run[:0], run...)
		p.row, p.ok = p.x.byID[string(run)]
		p.last = nil
	}
	if !p.ok {
		return
	}
	if p.next == nil {
		p.next = map[*metricColumn]*metricColumn{}
	}
	c := p.next[p.last]
	if c == nil || c.name != string(name) {
		if c = p.columns[string(name)]; c == nil {
			c = &metricColumn{name: string(name)}
			p.columns[c.name] = c
		}
		p.next[p.last] = c
	}
	p.last = c
	c.set(p.row, s)
}

// Join takes in the parts, in the order of their runs, when all runs were added.
func (l *Loader) Join(parts []*Part) {
	total := map[string]int{}
	for _, p := range parts {
		for name, c := range p.columns {
			total[name] += len(c.rows)
		}
	}
	for name, n := range total {
		joined := &metricColumn{rows: make([]uint32, 0, n), stats: make([]Stats, 0, n)}
		for _, p := range parts {
			if c := p.columns[name]; c != nil {
				joined.rows, joined.stats = append(joined.rows, c.rows...), append(joined.stats, c.stats...)
			}
		}
		l.x.metric(name).merge(joined)
	}
}

// merge takes in the rows of another column, which go before those of the same run here.
func (c *metricColumn) merge(o *metricColumn) {
	if len(c.rows) == 0 {
		c.rows, c.stats = o.rows, o.stats
		return
	}
	rows, stats := make([]uint32, 0, len(c.rows)+len(o.rows)), make([]Stats, 0, len(c.rows)+len(o.rows))
	for i, r := range c.rows {
		for len(o.rows) > 0 && o.rows[0] < r {
			rows, stats = append(rows, o.rows[0]), append(stats, o.stats[0])
			o.rows, o.stats = o.rows[1:], o.stats[1:]
		}
		if len(o.rows) > 0 && o.rows[0] == r {
			continue // comes with the next one, or the end
		}
		rows, stats = append(rows, r), append(stats, c.stats[i])
	}
	c.rows, c.stats = slices.Clip(append(rows, o.rows...)), slices.Clip(append(stats, o.stats...))
}

// Pair is a parameter or a tag.
type Pair struct{ Key, Value string }

// Number is a number that a run's record gives.
type Number struct {
	Name  string
	Value float64
}

// Record is what searches know of a run besides its series. Make it by NewRecord.
type Record struct {
	ID, Experiment string
	Params, Tags   []Pair
	Numbers        []Number
	row            row
}

// Fields are the parts of a run that Record keeps as they are.
type Fields struct {
	ID, Experiment, Parent, Name, Error, Notes string
	Status                                     experiments.Status
	Created, Started, Ended                    time.Time
	Archived                                   bool
}

// NewRecord makes a record, which holds on to no more than the pairs of what it is given.
func NewRecord(f Fields, params, tags []Pair, numbers []Number) Record {
	id, name := strings.Clone(f.ID), strings.Clone(f.Name)
	text := make([]string, 0, 3+len(params)+2*len(tags))
	text = append(text, name, id, f.Notes)
	for _, p := range params {
		text = append(text, p.Value)
	}
	for _, t := range tags {
		text = append(text, t.Value, t.Key)
	}
	return Record{ID: id, Experiment: f.Experiment, Params: params, Tags: tags, Numbers: numbers, row: row{
		id: id, name: name, order: collate(name), status: experiments.Status(strings.Clone(string(f.Status))),
		created: micros(f.Created), started: micros(f.Started), ended: micros(f.Ended),
		notes: strings.Clone(f.Notes), failure: strings.Clone(f.Error), parent: strings.Clone(f.Parent), archived: f.Archived,
		text: strings.ToLower(strings.Join(text, "\x00")),
	}}
}

// RecordOf is what searches know of a run.
func RecordOf(in *experiments.Run) Record {
	pairs := func(m map[string]string) (out []Pair) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			out = append(out, Pair{k, m[k]})
		}
		return out
	}
	var numbers []Number
	for _, name := range slices.Sorted(maps.Keys(in.Summary)) {
		numbers = append(numbers, Number{name, in.Summary[name]})
	}
	return NewRecord(Fields{
		ID: in.ID, Experiment: in.ExperimentID, Parent: in.ParentID, Name: in.Name, Error: in.Error, Notes: in.Notes, Status: in.Status,
		Created: in.CreatedAt, Started: in.StartedAt, Ended: in.EndedAt, Archived: !in.ArchivedAt.IsZero(),
	}, pairs(in.Params), pairs(in.Tags), numbers)
}
