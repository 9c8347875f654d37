package experiments

import (
	"time"

	"triality/runtime/metricabi"
)

// Module is an uploaded metric module. Its bytes are addressed by their hash and never change.
type Module struct {
	SHA256      string                `json:"sha256"`
	Name        string                `json:"name"`
	Version     string                `json:"version"`
	Size        int64                 `json:"size"`
	UploadedAt  time.Time             `json:"uploaded_at"`
	Description metricabi.Description `json:"description"`
	Checks      []Check               `json:"checks"`
	UsedBy      []string              `json:"used_by,omitempty"` // run ids
}

// Check is one line of a module's validation.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	Log    string `json:"log,omitempty"` // what the module wrote meanwhile
}
