package experiments

import "time"

// Experiment groups runs that answer one question.
type Experiment struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"` // unique
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	Folder      string            `json:"folder,omitempty"`         // where it is listed, such as team/project; empty: at the top
	Primary     string            `json:"primary_metric,omitempty"` // the metric that its runs are judged by; empty: by convention
	// Directions says of metrics which values are better, "higher", "lower" or "none", where their names do not or
	// say it wrong.
	Directions map[string]string `json:"directions,omitempty"`
	ArchivedAt time.Time         `json:"archived_at,omitzero"` // searches leave its runs out unless they are asked
	CreatedAt  time.Time         `json:"created_at"`
	UpdatedAt  time.Time         `json:"updated_at"`
}
