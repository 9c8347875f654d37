package experiments

import (
	"context"
	"encoding/json"
	"io"
)

// ReportInput is everything a report shows. A part that a run does not have is nil or empty and the
// report says so in its place.
type ReportInput struct {
	Experiment Experiment
	Run        Run
	Data       *DatasetSummary
	Series     map[string][]Point // "train/loss", "eval/loss", "so8t/orthogonality/layer_0", …
	// OmittedSeries is how many more series the run has than are in Series.
	OmittedSeries int
	Replacement   json.RawMessage // replacement.json of the SO8T model
	AB            *ABResult
	Groups        []GroupScore      // of all rows of the A/B test; AB may hold a part of them
	Environment   map[string]string // versions, processor, device, seed, times
	Language      string            // "en" or "ja"
}

// Reporter renders a report as one self-contained HTML file.
type Reporter interface {
	Render(ctx context.Context, in ReportInput, w io.Writer) error
}
