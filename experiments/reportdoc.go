package experiments

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
)

// Kinds of a report's blocks beside the sections of a run.
const (
	BlockProse    = "prose"    // Markdown
	BlockRuns     = "runs"     // runs side by side: a comparison, or those of a saved view
	BlockAppendix = "appendix" // what follows is the appendix
)

// RunSections are the sections of a run's or an A/B test's report, each of which may be a block.
var RunSections = []string{"verdict", "models", "decision", "groups", "trained", "comparison", "classes", "confusion", "latency", "modules",
	"disagreements", "configuration", "data", "training", "so8t", "environment"}

// Limits of a report.
const (
	MaxReportBlocks  = 200
	MaxReportRuns    = 50 // of one block
	MaxReportMetrics = 8  // of one block
	MaxReportSources = 20 // runs of which sections are shown
	MaxProse         = 64 << 10
)

// ReportBlock is a part of a report that a person put together.
type ReportBlock struct {
	Kind    string   `json:"kind"`
	Text    string   `json:"text,omitempty"`    // of prose: Markdown
	Title   string   `json:"title,omitempty"`   // in place of the section's own
	Run     string   `json:"run,omitempty"`     // of a section: the run
	Runs    []string `json:"runs,omitempty"`    // of runs
	Metrics []string `json:"metrics,omitempty"` // of runs: which are shown
}

// ReportBody is what a report's record holds.
type ReportBody struct {
	Language string        `json:"language"` // "en" or "ja"
	Blocks   []ReportBlock `json:"blocks"`
}

// ReadReportBody reads and checks a body. An error is CodeInvalid and names the block.
func ReadReportBody(text []byte) (b ReportBody, err error) {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return b, Errorf(CodeInvalid, "report: body: %w", err)
	}
	if b.Language != "en" && b.Language != "ja" {
		return b, Errorf(CodeInvalid, "report: body.language: %.20q: want en or ja", b.Language)
	}
	if len(b.Blocks) > MaxReportBlocks {
		return b, Errorf(CodeInvalid, "report: body.blocks: %d blocks, at most %d", len(b.Blocks), MaxReportBlocks)
	}
	sources := map[string]bool{}
	for i, x := range b.Blocks {
		wrong := func(format string, args ...any) error {
			return Errorf(CodeInvalid, "report: body.blocks[%d]: "+format, append([]any{i}, args...)...)
		}
		section := slices.Contains(RunSections, x.Kind)
		switch {
		case !section && x.Kind != BlockProse && x.Kind != BlockRuns && x.Kind != BlockAppendix:
			return b, wrong("kind %.40q: want prose, runs, appendix, or a section of a run: %s", x.Kind, strings.Join(RunSections, ", "))
		case section && x.Run == "":
			return b, wrong("run is missing: the id of the run whose section %q is shown", x.Kind)
		case x.Kind == BlockRuns && len(x.Runs) == 0:
			return b, wrong("runs is empty: the ids of the runs to show")
		case len(x.Runs) > MaxReportRuns:
			return b, wrong("runs: %d runs, at most %d", len(x.Runs), MaxReportRuns)
		case len(x.Metrics) > MaxReportMetrics:
			return b, wrong("metrics: %d metrics, at most %d", len(x.Metrics), MaxReportMetrics)
		case len(x.Text) > MaxProse:
			return b, wrong("text: %d bytes, at most %d", len(x.Text), MaxProse)
		case len(x.Title) > 200:
			return b, wrong("title: %d bytes, at most 200", len(x.Title))
		}
		if section {
			sources[x.Run] = true
		}
	}
	if len(sources) > MaxReportSources {
		return b, Errorf(CodeInvalid, "report: body.blocks: sections of %d runs, at most %d", len(sources), MaxReportSources)
	}
	return b, nil
}

// ReportDocument is a report with what its blocks show.
type ReportDocument struct {
	Title string
	Body  ReportBody
	// Inputs are by run id those whose sections are shown, Runs those that stand side by side. A run that is in neither is
	// said to be gone.
	Inputs map[string]ReportInput
	Runs   map[string]Run
}

// DocumentReporter renders a report that a person put together as one self-contained HTML file.
type DocumentReporter interface {
	RenderDocument(ctx context.Context, d ReportDocument, w io.Writer) error
}
