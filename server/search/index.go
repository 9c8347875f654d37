package search

import (
	"strings"
	"sync"
	"time"

	"triality/experiments"
	"triality/server/search/query"
)

// Index holds every run. Its methods may be called from any goroutine.
type Index struct {
	mu          sync.RWMutex
	experiments map[string]*experiment
	rows        []row
	byID        map[string]uint32
	removed     int            // rows that are left behind
	children    map[string]int // by id of a parent: how many runs name it
	revision    uint64         // grows with every change
	snapshots   snapshots
	metrics     map[string]*metricColumn
	texts       map[textName]*textColumn
	modules     map[string]map[string]Direction // by name: what modules say of their outputs
	stamp       uint64
}

type textName struct {
	kind query.Kind
	name string
}

type experiment struct {
	id, name, folded string
	folder, primary  string
	known            bool // false: only runs spoke of it so far, or it was removed
	archived         bool
	directions       map[string]Direction
}

// row is a run without its series, parameters and tags.
type row struct {
	id, name, order         string // order: the name as it is ordered
	experiment              *experiment
	status                  experiments.Status
	created, started, ended int64  // microseconds since 1970; 0: not yet
	text                    string // all that words are looked for in, folded
	notes, failure          string
	parent                  string
	archived, removed       bool
	cells                   []*textColumn
	given                   []*metricColumn // those that the record gave a number
}

// New makes an empty index.
func New() *Index {
	return &Index{
		experiments: map[string]*experiment{}, byID: map[string]uint32{}, children: map[string]int{},
		metrics: map[string]*metricColumn{}, texts: map[textName]*textColumn{}, modules: map[string]map[string]Direction{},
	}
}

// Change is one thing that a commit did. One of its fields is set.
type Change struct {
	Run           *experiments.Run // as stored
	RemovedRun    string
	Series        *Series
	RemovedSeries *Series // without Stats
	Experiment    *experiments.Experiment
	RemovedExp    string
	Module        *experiments.Module
}

// Series names a run's series.
type Series struct {
	Run, Name string
	Stats     Stats
}

// Apply brings the index to the state after a commit. Applying it again changes nothing.
func (x *Index) Apply(changes []Change) {
	if len(changes) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range changes {
		x.apply(&changes[i])
	}
	x.revision++
	if x.removed > 1000 && x.removed > len(x.rows)/4 {
		x.compact()
	}
}

func (x *Index) apply(c *Change) {
	switch {
	case c.Run != nil:
		x.putRun(c.Run)
	case c.RemovedRun != "":
		if r, ok := x.byID[c.RemovedRun]; ok {
			delete(x.byID, c.RemovedRun)
			x.adopt(x.rows[r].parent, "")
			x.rows[r] = row{id: c.RemovedRun, removed: true, experiment: x.rows[r].experiment}
			x.removed++
		}
	case c.Series != nil:
		if r, ok := x.byID[c.Series.Run]; ok {
			x.metric(c.Series.Name).set(r, c.Series.Stats)
		}
	case c.RemovedSeries != nil:
		if r, ok := x.byID[c.RemovedSeries.Run]; ok {
			x.metric(c.RemovedSeries.Name).unset(r)
		}
	case c.Experiment != nil:
		x.putExperiment(c.Experiment)
	case c.RemovedExp != "":
		x.experiment(c.RemovedExp).known = false
	case c.Module != nil:
		x.putModule(c.Module)
	}
}

// adopt counts a run that had one parent and has another; "" is none.
func (x *Index) adopt(was, now string) {
	if was == now {
		return
	}
	if was != "" {
		if x.children[was]--; x.children[was] == 0 {
			delete(x.children, was)
		}
	}
	if now != "" {
		x.children[now]++
	}
}

func (x *Index) metric(name string) *metricColumn {
	c := x.metrics[name]
	if c == nil {
		c = &metricColumn{name: name, natural: DirectionOf(name)}
		x.metrics[name] = c
	}
	return c
}

func (x *Index) experiment(id string) *experiment {
	e := x.experiments[id]
	if e == nil {
		e = &experiment{id: id}
		x.experiments[id] = e
	}
	return e
}

func (x *Index) putExperiment(in *experiments.Experiment) {
	e := x.experiment(in.ID)
	e.name, e.folded, e.known = in.Name, strings.ToLower(in.Name), true
	e.archived = !in.ArchivedAt.IsZero()
	e.folder, e.primary = in.Folder, in.Primary
	e.directions = nil
	for name, d := range in.Directions {
		if e.directions == nil {
			e.directions = map[string]Direction{}
		}
		e.directions[name] = Direction(d)
	}
}

// putModule notes what a module says of its outputs, whose series are named abtest/metric/MODULE/KEY/OUTPUT.
func (x *Index) putModule(m *experiments.Module) {
	outputs := map[string]Direction{}
	for _, o := range m.Description.Outputs {
		outputs[o.Name] = Direction(o.Direction)
	}
	x.modules[m.Name] = outputs
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func (x *Index) putRun(in *experiments.Run) {
	r, there := x.byID[in.ID]
	if !there {
		r = uint32(len(x.rows))
		x.rows = append(x.rows, row{})
		x.byID[in.ID] = r
	}
	old := x.rows[r]
	now := row{
		id: in.ID, name: in.Name, order: collate(in.Name), experiment: x.experiment(in.ExperimentID), status: in.Status,
		created: micros(in.CreatedAt), started: micros(in.StartedAt), ended: micros(in.EndedAt),
		notes: in.Notes, failure: in.Error, parent: in.ParentID, archived: !in.ArchivedAt.IsZero(),
		cells: make([]*textColumn, 0, len(in.Params)+len(in.Tags)),
	}
	x.adopt(old.parent, in.ParentID)
	text := make([]string, 0, 3+len(in.Params)+2*len(in.Tags))
	text = append(text, in.Name, in.ID, in.Notes)
	x.stamp++
	put := func(kind query.Kind, m map[string]string) {
		for k, v := range m {
			c := x.texts[textName{kind, k}]
			if c == nil {
				c = &textColumn{kind: kind, name: k}
				x.texts[textName{kind, k}] = c
			}
			c.set(r, v)
			c.stamp = x.stamp
			now.cells = append(now.cells, c)
			if text = append(text, v); kind == query.Tag {
				text = append(text, k)
			}
		}
	}
	put(query.Param, in.Params)
	put(query.Tag, in.Tags)
	for _, c := range old.cells {
		if c.stamp != x.stamp {
			c.unset(r)
		}
	}
	now.given = x.give(r, in.Summary, old.given)
	now.text = strings.ToLower(strings.Join(text, "\x00"))
	x.rows[r] = now
}

// give sets the numbers that a run's record has and no series, and takes back those it has no more.
func (x *Index) give(r uint32, numbers map[string]float64, old []*metricColumn) (given []*metricColumn) {
	for name, v := range numbers {
		c := x.metric(name)
		if at, there := find(c.rows, r); there && c.stats[at].Count > 0 {
			continue
		}
		c.set(r, Stats{Last: v, Least: v, Greatest: v, Mean: v})
		given = append(given, c)
	}
	for _, c := range old {
		if _, still := numbers[c.name]; still {
			continue
		}
		if at, there := find(c.rows, r); there && c.stats[at].Count == 0 {
			c.unset(r)
		}
	}
	return given
}

// compact numbers the rows anew, without those that are left behind.
func (x *Index) compact() {
	x.snapshots.clear()
	const gone = ^uint32(0)
	to := make([]uint32, len(x.rows))
	kept := x.rows[:0:0]
	for i := range x.rows {
		if x.rows[i].removed {
			to[i] = gone
			continue
		}
		to[i] = uint32(len(kept))
		x.byID[x.rows[i].id] = to[i]
		kept = append(kept, x.rows[i])
	}
	x.rows, x.removed = kept, 0
	for name, c := range x.metrics {
		n := 0
		for i, r := range c.rows {
			if to[r] != gone {
				c.rows[n], c.stats[n] = to[r], c.stats[i]
				n++
			}
		}
		if c.rows, c.stats = c.rows[:n], c.stats[:n]; n == 0 {
			delete(x.metrics, name)
		}
	}
	for name, c := range x.texts {
		n := 0
		for i, r := range c.rows {
			if to[r] != gone {
				c.rows[n], c.codes[n] = to[r], c.codes[i]
				n++
			}
		}
		if c.rows, c.codes = c.rows[:n], c.codes[:n]; n == 0 {
			delete(x.texts, name)
			continue
		}
		c.tidy()
	}
	used := map[*experiment]bool{}
	for i := range x.rows {
		used[x.rows[i].experiment] = true
	}
	for id, e := range x.experiments {
		if !e.known && !used[e] {
			delete(x.experiments, id)
		}
	}
}

// Load fills an empty index: put is called with everything there is, experiments and runs before series. Searches
// wait until it has ended. On an error the index is empty again.
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

// Loader fills an index that is being loaded.
type Loader struct {
	x    *Index
	run  string
	row  uint32
	ok   bool
	next map[*metricColumn]*metricColumn // the column that came after one in the run before
	last *metricColumn
}

// Experiment adds an experiment.
func (l *Loader) Experiment(e *experiments.Experiment) { l.x.putExperiment(e) }

// Module adds a module.
func (l *Loader) Module(m *experiments.Module) { l.x.putModule(m) }

// Run adds a run.
func (l *Loader) Run(r *experiments.Run) { l.x.putRun(r) }

// Series adds a series. Those of one run should come together, and the runs' series in like order. The slices are
// not kept. A run that is not known is passed over.
func (l *Loader) Series(run, name []byte, s Stats) {
	if string(run) != l.run {
		l.run = string(run)
		l.row, l.ok = l.x.byID[l.run]
		l.last = nil
	}
	if !l.ok {
		return
	}
	if l.next == nil {
		l.next = map[*metricColumn]*metricColumn{}
	}
	c := l.next[l.last]
	if c == nil || c.name != string(name) {
		c = l.x.metrics[string(name)]
		if c == nil {
			c = l.x.metric(string(name))
		}
		l.next[l.last] = c
	}
	l.last = c
	c.set(l.row, s)
}
