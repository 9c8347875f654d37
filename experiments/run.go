package experiments

import "time"

// Status is where a run or a step of it stands.
type Status string

const (
	Queued      Status = "queued"
	Running     Status = "running"
	Finished    Status = "finished"
	Failed      Status = "failed"
	Interrupted Status = "interrupted" // stopped before its end; running the same again resumes it
	Reused      Status = "reused"      // a step whose finished result was taken over
)

// Done says whether the status is a final one.
func (s Status) Done() bool { return s != Queued && s != Running }

// Step is one step of a run as it stands.
type Step struct {
	Name      string    `json:"name,omitempty"` // empty: it is named as its kind
	Kind      string    `json:"kind"`
	Key       string    `json:"key"` // hash of inputs, configuration, seed and engine version
	Status    Status    `json:"status"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Output    string    `json:"output,omitempty"` // folder or file it wrote
	Error     string    `json:"error,omitempty"`
	Progress  *Progress `json:"progress,omitempty"`
	Notes     []string  `json:"notes,omitempty"` // what it said: what was chosen, skipped, planned or resumed
}

// Title is the step's name.
func (s Step) Title() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Kind
}

// Progress of work under way.
type Progress struct {
	Done  int64   `json:"done"`
	Total int64   `json:"total"` // 0 when unknown
	Unit  string  `json:"unit"`  // "steps", "rows"
	Rate  float64 `json:"rate"`  // units a second
	Note  string  `json:"note,omitempty"`
}

// Run is one execution of a pipeline, or a run logged by a client.
type Run struct {
	ID           string             `json:"id"`
	ExperimentID string             `json:"experiment_id"`
	ParentID     string             `json:"parent_id,omitempty"` // the run that it is a part of, such as a sweep
	Name         string             `json:"name"`
	Status       Status             `json:"status"`
	CreatedAt    time.Time          `json:"created_at"`
	StartedAt    time.Time          `json:"started_at,omitzero"`
	EndedAt      time.Time          `json:"ended_at,omitzero"`
	Error        string             `json:"error,omitempty"`
	Notes        string             `json:"notes,omitempty"`      // Markdown, by people
	ArchivedAt   time.Time          `json:"archived_at,omitzero"` // searches leave it out unless they are asked
	Params       map[string]string  `json:"params,omitempty"`
	Tags         map[string]string  `json:"tags,omitempty"`
	Summary      map[string]float64 `json:"summary,omitempty"` // last value of each metric series
	Steps        []Step             `json:"steps,omitempty"`
	Config       string             `json:"config,omitempty"` // the YAML it ran
	Job          *Job               `json:"job,omitempty"`    // where the server's queue runs it; else a command or a client does
}

// Reached is a place in a run: the steps that have ended, and how far the work on the next one is, by step and unit
// ("finetune steps"): a step reads weights, trains and writes, each counted in units of its own.
type Reached struct {
	Steps int              `json:"steps"`
	Work  map[string]int64 `json:"work,omitempty"`
}

// TagBook is the tag by which a run says of which notebook it is.
const TagBook = "book"

// TagClient is the tag by which a run says which program asked for it.
const TagClient = "client"

// Submission asks the queue for a run.
type Submission struct {
	Config   string // pipeline YAML
	Name     string // of the run; empty: the time
	Dir      string // absolute folder at which the configuration's relative paths begin; empty: the server's
	Priority int    // higher runs first
	// Experiment is the id of the experiment that the run is filed in; empty: the one that the configuration names.
	Experiment string
	Book       string // name of the notebook that it is of; empty: none
	By         string // program that asked for it, as it calls itself; empty: not said
}

// Job is what the queue keeps of a run that it runs. Everything is durable, so that a server that starts
// again goes on with what waits and with what ran.
type Job struct {
	QueuedAt time.Time `json:"queued_at"`
	Dir      string    `json:"dir,omitempty"`      // where relative paths begin; empty: the server's folder
	Priority int       `json:"priority,omitempty"` // higher runs first
	Attempt  int       `json:"attempt"`            // workers started for it so far
	Worker   string    `json:"worker,omitempty"`   // the machine of the attempt under way, or of the last; empty: the server's own
	Reason   string    `json:"reason,omitempty"`   // why it waits again: how the last attempt ended
	Waits    *Reason   `json:"waits,omitempty"`    // what it waits for now; said by the queue when it is asked, never stored
	Death    string    `json:"death,omitempty"`    // why the last worker died, where it did
	Deaths   int       `json:"deaths,omitempty"`   // workers in a row that died so without getting further
	Stuck    int       `json:"stuck,omitempty"`    // workers in a row that died, in whatever way, without getting further
	Reached  Reached   `json:"reached,omitzero"`   // how far the worker got that got furthest
	// Memory and Card are the bytes that a step was planned to take of its machine's memory and of a card's, where a machine
	// had less. Elsewhere says that the server's own machine was one.
	Memory    int64 `json:"memory,omitempty"`
	Card      int64 `json:"card,omitempty"`
	Elsewhere bool  `json:"elsewhere,omitempty"`
}
