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

// StepKind names a step of the main job.
type StepKind string

const (
	StepBase     StepKind = "base" // makes the base model, where the configuration says how
	StepConvert  StepKind = "convert"
	StepFinetune StepKind = "finetune"
	StepReplace  StepKind = "replace"
	StepABTest   StepKind = "abtest"
	StepReport   StepKind = "report"
)

// Step is one step of a run as it stands.
type Step struct {
	Kind      StepKind  `json:"kind"`
	Key       string    `json:"key"` // hash of inputs, configuration, seed and engine version
	Status    Status    `json:"status"`
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Output    string    `json:"output,omitempty"` // folder or file it wrote
	Error     string    `json:"error,omitempty"`
	Progress  *Progress `json:"progress,omitempty"`
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
	Name         string             `json:"name"`
	Status       Status             `json:"status"`
	CreatedAt    time.Time          `json:"created_at"`
	StartedAt    time.Time          `json:"started_at,omitzero"`
	EndedAt      time.Time          `json:"ended_at,omitzero"`
	Error        string             `json:"error,omitempty"`
	Params       map[string]string  `json:"params,omitempty"`
	Tags         map[string]string  `json:"tags,omitempty"`
	Summary      map[string]float64 `json:"summary,omitempty"` // last value of each metric series
	Steps        []Step             `json:"steps,omitempty"`
	Config       string             `json:"config,omitempty"` // the YAML it ran
}
