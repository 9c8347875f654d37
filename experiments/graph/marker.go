package graph

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
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
	By         string    `json:"by,omitempty"` // who made it, of a result that came from the shared store
}

// Finished reads the marker of a step's folder; nil when the step has no finished result there, or when one of its
// outputs is gone.
func Finished(dir, key string) *Marker {
	var m Marker
	text, err := disk.ReadRegular(filepath.Join(dir, MarkerName), disk.MaxText)
	if err != nil || json.Unmarshal(text, &m) != nil || m.Key != key {
		return nil
	}
	for _, o := range m.Outputs {
		if _, err := disk.Stat(filepath.Join(dir, o)); err != nil {
			return nil
		}
	}
	return &m
}

// ReadMetrics reads the points that a step logged; there are none where it has no such file.
func ReadMetrics(dir string) (experiments.MetricBatch, error) {
	path := filepath.Join(dir, MetricsName)
	text, err := disk.ReadRegular(path, disk.MaxText)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	var stored map[string][]storedPoint
	if err := json.Unmarshal(text, &stored); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	batch := experiments.MetricBatch{}
	for name, points := range stored {
		for _, p := range points {
			batch[name] = append(batch[name], experiments.Point{Step: p.Step, Time: p.Time, Value: float64(p.Value)})
		}
	}
	return batch, nil
}

// writeMetrics keeps a step's points below its folder.
func writeMetrics(dir string, batch experiments.MetricBatch) error {
	stored := map[string][]storedPoint{}
	for name, points := range batch {
		for _, p := range points {
			stored[name] = append(stored[name], storedPoint{p.Step, p.Time, storedValue(p.Value)})
		}
	}
	return WriteJSON(filepath.Join(dir, MetricsName), stored)
}

// storedPoint is a metric point as its file has it.
type storedPoint struct {
	Step  int64       `json:"step"`
	Time  int64       `json:"time"`
	Value storedValue `json:"value"`
}

// storedValue is a number that may be NaN or infinite, for which JSON has no numbers: it is a text then, "NaN" or "+Inf".
type storedValue float64

func (v storedValue) MarshalJSON() ([]byte, error) {
	if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
		return json.Marshal(strconv.FormatFloat(f, 'g', -1, 64))
	}
	return json.Marshal(float64(v))
}

func (v *storedValue) UnmarshalJSON(text []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
	*v = storedValue(f)
	return err
}

// LastSeconds is how long the step of a kind took that finished last among those in the folders below dir; 0 where there
// is none.
func LastSeconds(dir, kind string) float64 {
	paths, err := disk.Glob(filepath.Join(dir, "*", MarkerName))
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
