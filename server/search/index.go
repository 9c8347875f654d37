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
		name = strings.Clone(name) // of a whole record, of which no more should stay
		c = &metricColumn{name: name, natural: DirectionOf(name)}
		x.metrics[name] = c
	}
	return c
}

func (x *Index) experiment(id string) *experiment {
	e := x.experiments[id]
	if e == nil {
		id = strings.Clone(id)
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
	rec := RecordOf(in)
	x.put(&rec, x.textColumn)
}

// textColumn is the column of a parameter or tag, made where there is none.
func (x *Index) textColumn(kind query.Kind, name string) *textColumn {
	c := x.texts[textName{kind, name}]
	if c == nil {
		name = strings.Clone(name)
		c = &textColumn{kind: kind, name: name}
		x.texts[textName{kind, name}] = c
	}
	return c
}

// put adds a run or puts it in the place of what was known of it. column finds the columns of its parameters and tags.
func (x *Index) put(in *Record, column func(kind query.Kind, name string) *textColumn) {
	r, there := x.byID[in.ID]
	if !there {
		r = uint32(len(x.rows))
		x.rows = append(x.rows, row{})
		x.byID[in.ID] = r
	}
	old := x.rows[r]
	now := in.row
	now.experiment = x.experiment(in.Experiment)
	now.cells = make([]*textColumn, 0, len(in.Params)+len(in.Tags))
	x.adopt(old.parent, now.parent)
	x.stamp++
	for _, kind := range []struct {
		kind  query.Kind
		pairs []Pair
	}{{query.Param, in.Params}, {query.Tag, in.Tags}} {
		for _, p := range kind.pairs {
			c := column(kind.kind, p.Key)
			c.set(r, p.Value)
			c.stamp = x.stamp
			now.cells = append(now.cells, c)
		}
	}
	for _, c := range old.cells {
		if c.stamp != x.stamp {
			c.unset(r)
		}
	}
	now.given = x.give(r, in.Numbers, old.given)
	x.rows[r] = now
}

// give sets the numbers that a run's record has and no series, and takes back those it has no more.
func (x *Index) give(r uint32, numbers []Number, old []*metricColumn) (given []*metricColumn) {
	for _, n := range numbers {
		c := x.metric(n.Name)
		if at, there := find(c.rows, r); there && c.stats[at].Count > 0 {
			continue
		}
		c.set(r, Stats{Last: n.Value, Least: n.Value, Greatest: n.Value, Mean: n.Value})
		given = append(given, c)
	}
	if len(old) == 0 {
		return given
	}
	still := make(map[string]bool, len(numbers))
	for _, n := range numbers {
		still[n.Name] = true
	}
	for _, c := range old {
		if still[c.name] {
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
