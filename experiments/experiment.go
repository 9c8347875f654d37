package experiments

import "time"

// Experiment groups runs that answer one question.
type Experiment struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"` // unique
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	UpdatedAt   time.Time         `json:"updated_at"`
}
