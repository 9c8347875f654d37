package experiments

import "encoding/json"

// Event types.
const (
	EventRun      = "run"      // a run was created or changed; Data is the Run; "partial": true says that large parts are left out
	EventMetrics  = "metrics"  // points were logged; Data is a MetricBatch
	EventRestart  = "restart"  // series begin anew, what was logged to them is gone; Data is their names
	EventProgress = "progress" // a step moved on; Data is {"step": its name, "progress": Progress}
	EventRuns     = "runs"     // many runs were changed at once, or some deleted or brought back; Data is a RunsEvent
	EventModule   = "module"   // a metric module was added; Data is the Module
	EventComments = "comments" // what is said of a notebook's cells has changed; Data is {"book": its name}
	EventPresence = "presence" // who has a notebook open has changed; Data is {"book": its name, "items": they}
)

// Event tells watchers what changed. IDs grow by one and survive a restart.
type Event struct {
	ID    uint64          `json:"id"`
	Type  string          `json:"type"`
	RunID string          `json:"run_id,omitempty"`
	Data  json.RawMessage `json:"data"`
}

// RunsEvent names runs that a change of many was about.
type RunsEvent struct {
	IDs    []string `json:"ids"`
	Change string   `json:"change"` // "changed", "deleted" or "restored"
}
