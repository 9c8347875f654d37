// Package graph plans and runs graphs of steps. A step is of a kind, which says in one place what its body is, what it
// takes and gives, what its key is made of, how it runs and resumes and what it costs. The package knows no kind by name.
package graph

import (
	"context"
	"path"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/config"
)

// Type is what a step gives and another takes.
type Type string

const (
	Dataset  Type = "data set"
	Model    Type = "model"
	Adapter  Type = "adapter"
	ABResult Type = "A/B result"
	Report   Type = "report"
	Table    Type = "table"
	GGUF     Type = "GGUF file"
	Series   Type = "series" // what a step logged: the output "metrics" that every step has
	Constant Type = "value"  // see Kind.Constants
)

// Cost says how many steps may run side by side.
type Cost int

const (
	Cheap  Cost = iota // needs no device: as many as the machine has cores
	Costly             // one to a device
	Free               // shows what others gave, in an instant: see Kind.Show
)

// String is "cheap", "costly" or "free".
func (c Cost) String() string {
	switch c {
	case Costly:
		return "costly"
	case Free:
		return "free"
	}
	return "cheap"
}

// Output is one thing that a kind's steps give: "${step.name}".
type Output struct {
	Name string
	Type Type
}

// Artifact is a small result that the tracker keeps with the run, where the step has the output that it lies in.
type Artifact struct {
	File      string // relative to the step's folder, with slashes
	Path      string // in the run, for a step that is named as its kind
	MediaType string
}

// PathOf is the artifact's path in the run: where several steps are of a kind, those that are not named as it have a folder
// of their own.
func (a Artifact) PathOf(s *Planned) string {
	if s.plain {
		return a.Path
	}
	return s.Name + "/" + path.Base(a.Path)
}

// Kind is a kind of step.
type Kind struct {
	Name string
	// Body makes an empty body with its defaults: a pointer to a struct whose fields have the tags yaml and doc. Fields
	// of type Input, and lists of them, take what other steps give; see Input for their tags.
	Body      func() any
	Gives     []Output
	Cost      Cost
	Artifacts []Artifact
	// Checkpoints is the folder below the step's that a step which was cut short resumes from; it is removed when the
	// step has finished. Empty: such a step starts over, or resumes from what it keeps elsewhere.
	Checkpoints string
	// OwnFolder says that Run makes the step's folder, whole or not at all.
	OwnFolder bool
	// Check, where not nil, says what is wrong with a body that is read, beyond its tags; At names the key.
	Check func(body any) error
	// Expand, where not nil, says which steps a step of the kind asks for; Work.Run runs them. See Expansion.
	Expand func(body any) (Expansion, error)
	// Plan reads what decides the result and makes the key of it. It may fill in the body, which is the plan's own copy.
	Plan func(ctx context.Context, p Planning) (Outline, error)
	// Run does the work.
	Run func(ctx context.Context, w Work) error
	// Show, of a kind that is Free, gives what a step shows, as JSON has it, from its body and what other steps gave; it
	// writes nothing. Run is WriteShown of it, so that a page and a run of the graph show the same.
	Show func(ctx context.Context, w Work) (any, error)
	// Constants are outputs that are known from the body alone. A reference to one stands for the value, as the whole value of
	// any key of another body.
	Constants func(body any) map[string]any
	// Values are the named values of a finished step's folder that a Prose may have in it, beside the last value of each series.
	Values func(dir string) (map[string]any, error)
	// TakeOver, where not nil, is called instead of Run when a finished result is taken over.
	TakeOver func(ctx context.Context, w Work) error
}

// Planning is what Kind.Plan gets. The body's inputs have their values.
type Planning struct {
	Body   any
	Device string // name of the device that computes: another one gives other last bits
	Tell   Teller
	// Variants are what Kind.Expand asked for, planned: their steps have keys.
	Variants []*Variant
}

// Outline is what Kind.Plan says of a step before it runs.
type Outline struct {
	Key   string   // hash of what the result depends on, made by Key
	Dir   string   // the step's folder; empty: by kind and key below Env.Dir
	Files []string // files and folders that make a result whole, relative to the folder
	// Gives is where each output lies, relative to the folder; an output that this step does not give is not in it.
	Gives map[string]string
	Facts map[string]string // what the keys of steps that take the outputs may go by
}

// Work is what Kind.Run gets.
type Work struct {
	Step   *Planned
	Body   any
	Dir    string
	Device int // the number of the device that a costly step has to itself, from 0
	Sink   Sink
	// Run runs some of the step's variants, side by side where devices allow, takes over what is there, and returns when all
	// have ended; those whose values are wrong have an Err. ended is called as each ends, one at a time, and must not wait; after
	// an error of it no more start. An error of Run is that one, or means that the run stops.
	Run func(ctx context.Context, list []*Variant, ended func(*Variant) error) error
}

// Place is where and how a step computes.
type Place struct {
	Device  int             // the number of the device
	Numbers *config.Numbers // how models are held on it; nil: as the engine does
}

// Place is the step's, with numbers of its body.
func (w Work) Place(n *config.Numbers) Place { return Place{w.Device, n} }

// Series are the metric points that the steps logged which this one depends on, however far, under their names in the run.
func (w Work) Series() (experiments.MetricBatch, error) {
	out := experiments.MetricBatch{}
	for _, s := range w.Step.ancestors() {
		batch, err := ReadMetrics(s.Here())
		if err != nil {
			return nil, err
		}
		for name, points := range s.InRun(batch) {
			out[name] = points
		}
	}
	return out, nil
}

// File is a path below the step's folder.
func (w Work) File(name string) string { return filepath.Join(w.Dir, filepath.FromSlash(name)) }

// Teller takes what planning has to say.
type Teller interface {
	Progress(p experiments.Progress)
	Note(text string)
}

// Sink takes what a step says while it works. Implementations need not be safe for concurrent use.
type Sink interface {
	Progress(p experiments.Progress)
	Metrics(batch experiments.MetricBatch) error
	// Note is a line for the reader: what was chosen, skipped or resumed.
	Note(text string)
}
