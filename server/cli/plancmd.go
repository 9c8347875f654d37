package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/pipeline"
)

// printPlan prints what a run of a configuration would do.
func (e *env) printPlan(ctx context.Context, o owner, path string, set []string, results graph.Shared) error {
	spec, err := pipeline.LoadSpec(path, set...)
	if err != nil {
		return err
	}
	var steps []pipeline.PlannedStep
	if o.server != nil {
		dir, err := os.Getwd()
		if err != nil {
			return err
		}
		if steps, err = o.server.Plan(ctx, spec.Text, dir); err != nil {
			return err
		}
	} else {
		screen := newTerminal(e.stderr)
		if steps, err = planHere(ctx, o.store, spec, results, screen, e.logger(slog.LevelWarn)); err != nil {
			return err
		}
		screen.clear()
	}
	return e.result(struct {
		Steps []pipeline.PlannedStep `json:"steps"`
	}{steps}, func(w io.Writer) { printSteps(w, steps) })
}

// planHere plans in this process. No device is opened: one may be full of another's work.
func planHere(ctx context.Context, tracker experiments.Tracker, spec pipeline.Spec, results graph.Shared, screen pipeline.Watcher, log *slog.Logger) (steps []pipeline.PlannedStep, err error) {
	host, err := openSandbox(0, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	r := &pipeline.Runner{Engine: &pipeline.Engine{Sandbox: host}, Tracker: tracker, Watcher: screen, Shared: results}
	return r.Plan(ctx, spec)
}

// from says who made a result that came from the shared store.
func from(s pipeline.PlannedStep) string {
	if s.Shared == nil {
		return ""
	}
	return " from " + s.Shared.By
}

func printSteps(w io.Writer, steps []pipeline.PlannedStep) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	left, known, seconds := 0, true, 0.0
	for _, s := range steps {
		what := s.Cost
		took := time.Duration(s.Seconds * float64(time.Second)).Round(100 * time.Millisecond)
		switch {
		case s.TakenOver:
			what = fmt.Sprintf("taken over%s: finished %s, took %v", from(s), s.FinishedAt.Local().Format(time.DateTime), took)
		case s.Seconds > 0:
			what += fmt.Sprintf(", about %v as last time", took)
		}
		if !s.TakenOver {
			left++
			known = known && s.Seconds > 0
			seconds += s.Seconds
		}
		after := ""
		if len(s.Needs) > 0 {
			after = "\tafter " + strings.Join(s.Needs, ", ")
		}
		fmt.Fprintf(table, "%s\t%s\t%.12s\t%s%s\n", s.Name, s.Kind, s.Key, what, after)
	}
	table.Flush()
	switch {
	case left == 0:
		fmt.Fprintln(w, "nothing to run: every step has a finished result")
	case known:
		fmt.Fprintf(w, "%d of %d steps to run, about %v of work as last time\n", left, len(steps), time.Duration(seconds*float64(time.Second)).Round(time.Second))
	default:
		fmt.Fprintf(w, "%d of %d steps to run\n", left, len(steps))
	}
}
