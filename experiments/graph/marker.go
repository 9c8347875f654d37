package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"triality/experiments"
)

// Files that a finished step has in its folder beside its outputs.
const (
	MarkerName  = "step.json"    // written last: the result is whole
	MetricsName = "metrics.json" // the metric points that it logged
)

// Marker is the content of the file that says a step's folder is finished.
type Marker struct {
	Kind       string    `json:"kind"`
	Key        string    `json:"key"`
	RunID      string    `json:"run_id,omitempty"` // the run that computed it
	FinishedAt time.Time `json:"finished_at"`
	Seconds    float64   `json:"seconds"`
	Outputs    []string  `json:"outputs"` // files and folders, relative to the step's folder
	Notes      []string  `json:"notes,omitempty"`
}

// finished reads the marker of a step's folder; nil when the step has no finished result there, or when one of its
// outputs is gone.
func finished(dir, key string) *Marker {
	var m Marker
	text, err := os.ReadFile(filepath.Join(dir, MarkerName))
	if err != nil || json.Unmarshal(text, &m) != nil || m.Key != key {
		return nil
	}
	for _, o := range m.Outputs {
		if _, err := os.Stat(filepath.Join(dir, o)); err != nil {
			return nil
		}
	}
	return &m
}

// ReadMetrics reads the points that a step logged; there are none where it has no such file.
func ReadMetrics(dir string) (experiments.MetricBatch, error) {
	path := filepath.Join(dir, MetricsName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	var batch experiments.MetricBatch
	if err := json.Unmarshal(text, &batch); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return batch, nil
}

// LastSeconds is how long the step of a kind took that finished last among those in the folders below dir; 0 where there
// is none.
func LastSeconds(dir, kind string) float64 {
	paths, err := filepath.Glob(filepath.Join(dir, "*", MarkerName))
	if err != nil {
		return 0
	}
	var last Marker
	for _, path := range paths {
		var m Marker
		if ReadJSON(path, &m) == nil && m.Kind == kind && m.FinishedAt.After(last.FinishedAt) {
			last = m
		}
	}
	return last.Seconds
}
