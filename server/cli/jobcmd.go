package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/experiments/kinds/abtest"
	"triality/experiments/kinds/repeats"
	"triality/experiments/kinds/report"
	"triality/experiments/pipeline"
	"triality/frontend"
	pages "triality/server/report"
	"triality/server/store"
)

func jobCommands() []command {
	return []command{
		{"run", "CONFIG", "run a pipeline (convert, finetune, replace, abtest, report) or a graph of steps", setupRun},
		{"demo", "", "run the shipped demo pipeline, then serve its results", setupDemo},
	}
}

// settings collects repeated --set flags.
type settings []string

func (s *settings) String() string     { return strings.Join(*s, " ") }
func (s *settings) Set(v string) error { *s = append(*s, v); return nil }
func (s *settings) Type() string       { return "" }

func setupRun(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	name := fs.String("name", "", "name of the run (default: the time)")
	var set settings
	share := sharedFlags(fs)
	e.gateFlag(fs)
	fs.Var(&set, "set", "`KEY=VALUE` that wins over the file, such as training.lora_r=8, in a graph STEP.training.lora_r=8; may be repeated")
	plan := fs.Bool("plan", false, "print the steps, their keys, what is taken over and what is left to do, and run nothing")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("run wants one configuration file: triality run configs/demo.yaml")
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		var results graph.Shared
		if o.server == nil { // which has its own
			if results, err = share.open(ctx, e.logger(slog.LevelWarn)); err != nil {
				return errors.Join(err, o.Close())
			}
		}
		switch {
		case *plan:
			err = e.printPlan(ctx, o, args[0], set, results)
		case o.server != nil:
			err = e.runThrough(ctx, o.server, args[0], *name, set)
		default:
			err = e.runPipeline(ctx, o.store, args[0], *name, set, results)
		}
		return errors.Join(err, o.Close())
	}
}

func dataFlag(fs *flag.FlagSet) *string {
	return fs.String("data", "data", "`folder` of the tracker's database and artifacts")
}

// runPipeline runs a configuration file and prints the outcome.
func (e *env) runPipeline(ctx context.Context, st *store.Store, path, name string, set []string, results graph.Shared) (err error) {
	spec, err := pipeline.LoadSpec(path, set...)
	if err != nil {
		return err
	}
	runner, closeRunner, err := openRunner(st, spec, nil, e.logger(slog.LevelWarn))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRunner()) }()
	screen := newTerminal(e.stderr)
	runner.Watcher, runner.Shared = screen, results
	run, upToDate, err := runner.RunSpec(ctx, spec, pipeline.RunOptions{Name: name})
	screen.clear()
	if err != nil {
		return err
	}
	return e.printOutcome(run, upToDate)
}

// outcome is a finished run with what people look at first: the last A/B test and report among its steps.
type outcome struct {
	Run      experiments.Run       `json:"run"`
	UpToDate bool                  `json:"up_to_date"` // every step had a finished result
	Results  string                `json:"results,omitempty"`
	Report   string                `json:"report,omitempty"`
	ABTest   *experiments.ABResult `json:"abtest,omitempty"`
}

// printOutcome prints the headline of a finished run.
func (e *env) printOutcome(run experiments.Run, upToDate bool) error {
	out := outcome{Run: run, UpToDate: upToDate}
	results := map[string]*experiments.ABResult{}
	for _, s := range run.Steps {
		switch s.Kind {
		case abtest.Name, repeats.Name:
			r, err := pipeline.ReadABResult(s.Output)
			if err != nil {
				return err
			}
			if s.Kind == repeats.Name {
				clear(results) // its A/B tests are each of one training
			}
			out.ABTest, out.Results, results[s.Title()] = r, filepath.Join(s.Output, abtest.ResultsName), r
		case report.Name:
			out.Report = filepath.Join(s.Output, report.FileName)
		}
	}
	err := e.result(out, func(w io.Writer) {
		if upToDate {
			for _, s := range run.Steps {
				fmt.Fprintf(w, "%-9s up to date: %s\n", s.Title(), s.Output)
			}
			fmt.Fprintln(w, "nothing to run: every step has a finished result")
		}
		for _, s := range run.Steps {
			r := results[s.Title()]
			switch {
			case r != nil && len(results) > 1:
				fmt.Fprintf(w, "\n%s", s.Title())
				fallthrough
			case r != nil:
				printABResult(w, r)
			case s.Name != "" && !upToDate: // of a graph
				fmt.Fprintf(w, "%-9s %s\n", s.Title(), s.Output)
			}
		}
		fmt.Fprintf(w, "\nrun     %s\n", run.ID)
		if out.Results != "" {
			fmt.Fprintf(w, "results %s\n", out.Results)
		}
		if out.Report != "" {
			fmt.Fprintf(w, "report  %s\n", out.Report)
		}
	})
	for _, r := range results { // each of a graph's tests must let its B ship
		err = errors.Join(err, e.gate(r))
	}
	if len(results) == 0 {
		err = errors.Join(err, e.gate(nil))
	}
	return err
}

// openRunner joins engine, sandbox, tracker and reporter. The second result closes what it opened.
func openRunner(tracker experiments.Tracker, spec pipeline.Spec, cards []int, log *slog.Logger) (*pipeline.Runner, func() error, error) {
	reporter := pages.New(pages.Assets{EChartsJS: frontend.ReportECharts()})
	if err := reporter.Check(); err != nil {
		return nil, nil, err
	}
	engine, closeEngine, err := openEngine(spec.Pipeline, cards, spec.Devices, spec.Together(), log)
	if err != nil {
		return nil, nil, err
	}
	return &pipeline.Runner{Engine: engine, Tracker: tracker, Reporter: reporter, Version: Version}, closeEngine, nil
}

// openEngine opens the engine of a configuration. cards are those it may use, none: all, of which it takes count places
// of `together`, 0: as many as there are.
func openEngine(cfg config.Pipeline, cards []int, count, together int, log *slog.Logger) (*pipeline.Engine, func() error, error) {
	host, err := openSandbox(0, log)
	if err != nil {
		return nil, nil, err
	}
	devices, notes, err := pipeline.OpenDevices(cfg, cards, count, together)
	if err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	dev := devices.First()
	return &pipeline.Engine{Device: dev, Devices: devices, Room: pipeline.Room{Card: int64(cfg.MemoryLimit)}, Storage: pipeline.StorageOn(dev, cfg), Recompute: pipeline.Recompute(cfg.Training), Config: pipeline.ModelConfig(cfg), Notes: notes, Sandbox: host}, func() error { return errors.Join(host.Close(), devices.Close()) }, nil
}
