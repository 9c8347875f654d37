package train

import "time"

// Record is one line of a run's metric history. Values are part of the checkpointed state: a
// resumed run repeats them to the last bit. Timing is what the clock and the machine decide.
type Record struct {
	Step  int     `json:"step"`  // optimizer steps done
	Epoch float64 `json:"epoch"` // epochs done, with the fraction
	// Values: for training loss (the mean over the steps since the last record), grad_norm (before
	// clipping) and learning_rate of the last step, trained_tokens so far, in Float16 loss_scale and
	// skipped_steps (whose gradients overflowed) so far, and what the task adds; for evaluation
	// names that begin with eval_.
	Values map[string]float64 `json:"values"`
	Timing map[string]float64 `json:"timing,omitempty"` // tokens_per_second, seconds, peak_memory_bytes of the device
}

// Start is told once, before the first step.
type Start struct {
	TotalSteps    int
	StepsPerEpoch int
	Weights       int // trainable numbers
	ResumedFrom   int // steps done by the checkpoint the run resumes from; 0 = none
	History       []Record
}

// What happened to a checkpoint.
const (
	Written  = "written"
	Pruned   = "pruned"
	Rejected = "rejected" // damaged: Reason says how, the one before it is tried
)

// CheckpointEvent tells what happened to a checkpoint file.
type CheckpointEvent struct {
	Action string // Written, Pruned or Rejected
	Path   string
	Step   int
	Bytes  int64         // Written
	Took   time.Duration // Written
	Reason string        // Rejected
}

// Observer follows a run, in the run's own goroutine.
type Observer interface {
	Start(Start)
	Record(Record)
	Checkpoint(CheckpointEvent)
}

// silent is the observer of those who pass nil.
type silent struct{}

func (silent) Start(Start)                {}
func (silent) Record(Record)              {}
func (silent) Checkpoint(CheckpointEvent) {}
