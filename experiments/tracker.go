package experiments

import (
	"context"
	"io"
)

// Tracker is what a pipeline needs of the place that records it. Writes return after they are
// durable.
type Tracker interface {
	// EnsureExperiment gives the experiment of that name, made if there is none.
	EnsureExperiment(ctx context.Context, name string) (Experiment, error)
	// Run gives a run by its ID.
	Run(ctx context.Context, id string) (Run, error)
	// SaveRun creates or replaces a run by its ID.
	SaveRun(ctx context.Context, r Run) error
	// LogMetrics appends points.
	LogMetrics(ctx context.Context, runID string, batch MetricBatch) error
	// RestartMetrics is LogMetrics for series that begin anew: earlier points of theirs are removed.
	RestartMetrics(ctx context.Context, runID string, batch MetricBatch) error
	// Progress tells watchers how far a step, by its name, is; nothing is stored.
	Progress(runID, step string, p Progress)
	// SaveArtifact stores a file of a run; the same path replaces it.
	SaveArtifact(ctx context.Context, runID, path, mediaType string, r io.Reader) (Artifact, error)
	// Module gives a metric module's record and bytes by its SHA-256.
	Module(ctx context.Context, sha256 string) (Module, []byte, error)
	// UseModule records that a run used a module, adding the module if it is new.
	UseModule(ctx context.Context, runID string, m Module, wasm []byte) error
}

// LookCounter is a tracker that counts the looks at test sets, since the rows that its run's steps read are copies of those
// that it has.
type LookCounter interface {
	// CountLook adds a look to those at a test set, which the run's steps know as path, and says how many there are. Its time
	// is the counter's. A look that was counted already is as it was then.
	CountLook(ctx context.Context, runID, path string, l Look) (Looks, error)
}

// RunReader is a tracker whose runs can be read. Errors of a question are CodeInvalid, of what is not there CodeNotFound.
type RunReader interface {
	// FindRuns searches; docs/search.md has the language.
	FindRuns(ctx context.Context, q RunQuery) (Rows, error)
	// RunSeries gives a run's points of a metric; there are none where it has no such series.
	RunSeries(ctx context.Context, runID, metric string) ([]Point, error)
	// RunFile gives an artifact of a run.
	RunFile(ctx context.Context, runID, path string) ([]byte, error)
}

// RunQuery asks for runs.
type RunQuery struct {
	Filter  string
	OrderBy []string // keys, each with ASC or DESC after it
	Columns []string // keys whose values are wanted
	Limit   int
}

// Rows is a table of values: numbers, texts, booleans or nil.
type Rows struct {
	Columns []string `json:"columns"`
	Rows    [][]any  `json:"rows"`
	// Runs are the ids of the runs that the rows are of, where they are of runs.
	Runs  []string `json:"runs,omitempty"`
	Total int      `json:"total"` // rows that there are, of which these are the first
	Notes []string `json:"notes,omitempty"`
}
