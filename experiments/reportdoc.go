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
	BlockCurves   = "curves"   // metrics of several runs over the step
	BlockPaired   = "paired"   // two runs on the rows that both judged
	BlockAppendix = "appendix" // what follows is the appendix
)

// RunSections are the sections of a run's or an A/B test's report, each of which may be a block.
var RunSections = []string{"verdict", "models", "decision", "groups", "trained", "comparison", "classes", "confusion", "latency", "modules",
	"disagreements", "configuration", "data", "training", "so8t", "environment"}

// Limits of a report.
const (
	MaxReportBlocks  = 200
	MaxReportRuns    = 50  // of one block
	MaxReportMetrics = 8   // of one block
	MaxReportSources = 20  // runs of which sections are shown
	MaxCurveRuns     = 10  // of one block of curves
	MaxReportSeries  = 400 // curves of a whole report
	MaxReportPairs   = 10
	MaxProse         = 64 << 10
)

// ReportBlock is a part of a report that a person put together.
type ReportBlock struct {
	Kind    string   `json:"kind"`
	Text    string   `json:"text,omitempty"`    // of prose: Markdown
	Title   string   `json:"title,omitempty"`   // in place of the section's own
	Run     string   `json:"run,omitempty"`     // of a section: the run
	Runs    []string `json:"runs,omitempty"`    // of runs and curves; of paired, two, or one twice
	Arms    []string `json:"arms,omitempty"`    // of paired: which arm of each run's A/B test, "B" of both where left out
	Metrics []string `json:"metrics,omitempty"` // of runs and curves: which are shown
}

// Sides are the run and the arm that stand on each side of a paired block.
func (b ReportBlock) Sides() (out [2]ReportSide) {
	for i := range out {
		out[i] = ReportSide{Run: b.Runs[i], Arm: "B"}
		if b.Arms != nil {
			out[i].Arm = b.Arms[i]
		}
	}
	return out
}

// ReportSide is an arm of a run's A/B test.
type ReportSide struct{ Run, Arm string }

// ReportPair is what two results show on the rows that both judged.
type ReportPair struct {
	Names, Models [2]string // of A and B
	OnlyA, OnlyB  int       // rows that one test alone has
	Relabelled    int
	BothRight     int
	BothWrong     int
	// Result has the shared rows' count, inference and McNemar's test, and of samples those that are answered differently. Its
	// inference is nil where labels are other than the four classes or no row is shared.
	Result ABResult
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
	series, pairs := 0, 0
	for i, x := range b.Blocks {
		wrong := func(format string, args ...any) error {
			return Errorf(CodeInvalid, "report: body.blocks[%d]: "+format, append([]any{i}, args...)...)
		}
		section := slices.Contains(RunSections, x.Kind)
		switch {
		case !section && !slices.Contains([]string{BlockProse, BlockRuns, BlockCurves, BlockPaired, BlockAppendix}, x.Kind):
			return b, wrong("kind %.40q: want prose, runs, curves, paired, appendix, or a section of a run: %s", x.Kind, strings.Join(RunSections, ", "))
		case section && x.Run == "":
			return b, wrong("run is missing: the id of the run whose section %q is shown", x.Kind)
		case (x.Kind == BlockRuns || x.Kind == BlockCurves) && len(x.Runs) == 0:
			return b, wrong("runs is empty: the ids of the runs to show")
		case x.Kind == BlockCurves && len(x.Metrics) == 0:
			return b, wrong("metrics is empty: the names of the metrics to draw")
		case x.Kind == BlockCurves && len(x.Runs) > MaxCurveRuns:
			return b, wrong("runs: curves of %d runs, at most %d", len(x.Runs), MaxCurveRuns)
		case x.Kind == BlockPaired && len(x.Runs) != 2:
			return b, wrong("runs: %d runs, want two: what is compared and what it is compared with", len(x.Runs))
		case x.Kind == BlockPaired && x.Arms != nil && (len(x.Arms) != 2 || !isArm(x.Arms[0]) || !isArm(x.Arms[1])):
			return b, wrong("arms: %.40q: want two, each A or B", x.Arms)
		case len(x.Runs) > MaxReportRuns:
			return b, wrong("runs: %d runs, at most %d", len(x.Runs), MaxReportRuns)
		case len(x.Metrics) > MaxReportMetrics:
			return b, wrong("metrics: %d metrics, at most %d", len(x.Metrics), MaxReportMetrics)
		case len(x.Text) > MaxProse:
			return b, wrong("text: %d bytes, at most %d", len(x.Text), MaxProse)
		case len(x.Title) > 200:
			return b, wrong("title: %d bytes, at most 200", len(x.Title))
		}
		switch {
		case section:
			sources[x.Run] = true
		case x.Kind == BlockCurves:
			series += len(x.Runs) * len(x.Metrics)
		case x.Kind == BlockPaired:
			pairs++
		}
	}
	if series > MaxReportSeries {
		return b, Errorf(CodeInvalid, "report: body.blocks: %d curves, at most %d", series, MaxReportSeries)
	}
	if pairs > MaxReportPairs {
		return b, Errorf(CodeInvalid, "report: body.blocks: %d comparisons on the same rows, at most %d", pairs, MaxReportPairs)
	}
	if len(sources) > MaxReportSources {
		return b, Errorf(CodeInvalid, "report: body.blocks: sections of %d runs, at most %d", len(sources), MaxReportSources)
	}
	return b, nil
}

func isArm(s string) bool { return s == "A" || s == "B" }

// ReportDocument is a report with what its blocks show.
type ReportDocument struct {
	Title string
	Body  ReportBody
	// Inputs are by run id those whose sections are shown, Runs those that stand side by side. A run that is in neither is
	// said to be gone.
	Inputs map[string]ReportInput
	Runs   map[string]Run
	// Series are by run id and metric the points of curves.
	Series map[string]map[string][]Point
	// Pairs lack those of which a run is gone or has no A/B test.
	Pairs map[[2]ReportSide]ReportPair
}

// DocumentReporter renders a report that a person put together as one self-contained HTML file.
type DocumentReporter interface {
	RenderDocument(ctx context.Context, d ReportDocument, w io.Writer) error
}
