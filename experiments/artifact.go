package experiments

import "time"

// Artifact is a file of a run, stored by content.
type Artifact struct {
	Path      string    `json:"path"` // "report.html", "abtest/results.json"
	Size      int64     `json:"size"`
	SHA256    string    `json:"sha256"`
	MediaType string    `json:"media_type"`
	CreatedAt time.Time `json:"created_at"`
}
