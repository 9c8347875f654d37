package books

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/kinds"
	"triality/experiments/notebook"
	"triality/experiments/pipeline"
	"triality/server/store"
)

// State is where a cell stands.
type State string

const (
	Wrong   State = "wrong"   // it has a mistake, which Problems say
	Blocked State = "blocked" // it needs one that has
	New     State = "new"     // it never ran in this notebook, and nobody has its result
	Stale   State = "stale"   // what it showed last is of another key
	Queued  State = "queued"
	Running State = "running"
	Failed  State = "failed"
	Fresh   State = "fresh"  // its result is here
	Cached  State = "cached" // its result is here, from a run that is not of this notebook, or from someone else
	Waits   State = "waits"  // it shows what others give, which have no result yet
)

// Cell is a cell with its state.
type Cell struct {
	ID    string   `json:"id"`
	Kind  string   `json:"kind"`
	Line  int      `json:"line"`
	State State    `json:"state"`
	Needs []string `json:"needs,omitempty"`
	Cost  string   `json:"cost,omitempty"`
	Key   string   `json:"key,omitempty"`
	// Seconds is what the result took or, where there is none, what such a step took last; 0: nothing is known.
	Seconds float64 `json:"seconds,omitempty"`
	// Run has the output to show, that of the step named as the cell; empty where no run of the tracker has one.
	Run     string    `json:"run,omitempty"`
	ShownOf string    `json:"shown_key,omitempty"` // key of that output
	Ended   time.Time `json:"ended_at,omitzero"`
	// Of a stale cell: the cells upstream, itself included, and the settings that are others than when it ran. Neither: what a
	// path leads to has changed, or the engine.
	Changes  []string `json:"changes,omitempty"`
	Settings []string `json:"settings,omitempty"`
	Error    string   `json:"error,omitempty"` // of a failed cell
	By       string   `json:"by,omitempty"`    // of a cached one whose result came from the shared store: who made it
	// Of a cell that only shows what others gave: that, made for this answer, and the cells that it waits for.
	Shown    json.RawMessage       `json:"shown,omitempty"`
	Waits    []string              `json:"waits,omitempty"`
	Progress *experiments.Progress `json:"progress,omitempty"` // of a running one
}

// Status is a notebook's cells with their states.
type Status struct {
	Title    string             `json:"title"`
	Blocks   []Block            `json:"blocks"` // the whole text, one after the other
	Cells    []Cell             `json:"cells"`
	Problems []notebook.Problem `json:"problems"`
	Run      string             `json:"run,omitempty"` // of this notebook, waiting or under way
	Kinds    []string           `json:"kinds"`         // of cells that there are
}

// Block is a piece of a notebook's text.
type Block struct {
	Type string `json:"type"` // "front", "prose" or "cell"
	Text string `json:"text"`
	Cell string `json:"cell,omitempty"` // its name
}

// Cut gives a notebook's text in blocks.
func Cut(text string) []Block { return blocks(notebook.Parse(configName, text)) }

func blocks(doc *notebook.Document) []Block {
	out := []Block{}
	for _, b := range doc.Blocks {
		out = append(out, Block{blockTypes[b.Type], b.Text, b.Cell.ID})
	}
	return out
}

var blockTypes = map[notebook.BlockType]string{notebook.Prose: "prose", notebook.FrontMatter: "front", notebook.CellBlock: "cell"}

// Planner says what a run of a notebook would do.
type Planner interface {
	Plan(ctx context.Context, text, dir string) ([]pipeline.PlannedStep, error)
}

// Desk knows the states of notebooks' cells.
type Desk struct {
	planner Planner
	kinds   []graph.Kind
	results *results
	taking  sync.Mutex    // one run is made of shared results at a time
	filled  chan struct{} // closed when every run was read
	stop    context.CancelFunc
	ended   chan struct{}
}

// NewDesk begins to read the store's runs, which may be many, and follows them until Close. What is asked meanwhile waits.
func NewDesk(ctx context.Context, st *store.Store, p Planner) *Desk {
	ctx, stop := context.WithCancel(ctx)
	d := &Desk{planner: p, kinds: kinds.All(nil), filled: make(chan struct{}), stop: stop, ended: make(chan struct{})}
	d.results = &results{store: st, byKey: map[string]result{}, ofBook: map[string][]string{}, seen: map[string]bool{}}
	go func() {
		defer close(d.ended)
		d.results.follow(ctx, d.filled)
	}()
	return d
}

// Close ends it.
func (d *Desk) Close() {
	d.stop()
	<-d.ended
}

// configName is what errors of the queue call a configuration.
const configName = "config"

// maxPlans bounds how many cells whose plans fail are told at once.
const maxPlans = 5

// Status gives the states of the cells of a text, which need not be saved, as the notebook of that name.
func (d *Desk) Status(ctx context.Context, name, text string) (Status, error) {
	select {
	case <-d.filled:
	case <-d.ended:
		return Status{}, experiments.Errorf(experiments.CodeUnavailable, "the server is stopping")
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
	doc := notebook.Parse(configName, text)
	sound, problems := doc.Sound(d.kinds)
	out := Status{Title: doc.Title(), Cells: []Cell{}, Blocks: blocks(doc)}
	for _, k := range d.kinds {
		out.Kinds = append(out.Kinds, k.Name)
	}
	var steps []pipeline.PlannedStep
	for range maxPlans {
		if len(sound) == 0 {
			break
		}
		var err error
		steps, err = d.planner.Plan(ctx, doc.Blank(sound), "")
		if err == nil {
			break
		}
		if c := experiments.CodeOf(err); c != experiments.CodeInvalid && c != experiments.CodeNotFound {
			return out, err
		}
		wrong := map[string]bool{}
		for _, p := range doc.Locate(err) {
			problems = append(problems, p)
			wrong[p.Cell] = true
		}
		if wrong[""] {
			sound = nil
			break
		}
		sound = doc.Without(d.kinds, sound, wrong)
	}
	for _, s := range steps {
		if s.Problem != "" {
			problems = append(problems, doc.Locate(errors.New(s.Problem))...)
		}
	}
	slices.SortStableFunc(problems, func(a, b notebook.Problem) int { return a.Line - b.Line })
	if out.Problems = problems; problems == nil {
		out.Problems = []notebook.Problem{}
	}
	runs, err := d.take(ctx, name, doc, steps)
	if err != nil {
		return out, err
	}
	past := newPast(doc, runs)
	if past.now != nil {
		out.Run = past.now.ID
	}
	needs := needsOf(steps)
	for _, b := range doc.Cells() {
		c := Cell{ID: b.Cell.ID, Kind: b.Cell.Kind, Line: b.Line, State: Blocked}
		if slices.ContainsFunc(problems, func(p notebook.Problem) bool { return p.Cell == c.ID }) {
			c.State = Wrong
		}
		i := slices.IndexFunc(steps, func(s pipeline.PlannedStep) bool { return s.Name == c.ID })
		if i >= 0 && slices.Contains(sound, c.ID) {
			s := steps[i]
			c.Needs, c.Cost, c.Key, c.Seconds = s.Needs, s.Cost, s.Key, s.Seconds
			switch {
			case s.Cost == graph.Free.String():
				if c.Shown, c.Waits = s.Shown, s.Waits; c.Shown != nil {
					c.State = Fresh
				} else if c.State != Wrong {
					c.State = Waits
				}
			case s.TakenOver:
				d.finished(ctx, &c, s, past)
			default:
				past.unfinished(&c, needs)
			}
		}
		if c.Run == "" && c.Shown == nil {
			past.show(&c) // what it showed last, while it cannot be planned
		}
		out.Cells = append(out.Cells, c)
	}
	return out, nil
}

// finished is a cell whose result is there.
func (d *Desk) finished(ctx context.Context, c *Cell, s pipeline.PlannedStep, past past) {
	c.State, c.Ended = Fresh, s.FinishedAt
	if s.Shared != nil {
		c.State, c.By = Cached, s.Shared.By
	}
	for _, run := range past.runs {
		if step := stepOf(run, c.ID); step != nil && step.Key == c.Key && hasResult(step) {
			c.Run, c.ShownOf = run.ID, c.Key
			return
		}
	}
	if r, ok := d.results.of(ctx, c.Key); ok {
		c.State, c.Run, c.ShownOf, c.Ended, c.Seconds = Cached, r.run, c.Key, r.ended, r.seconds
	}
}

func hasResult(s *experiments.Step) bool {
	return s.Status == experiments.Finished || s.Status == experiments.Reused
}
