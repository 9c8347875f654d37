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
	"triality/experiments/pipeline"
	"triality/frontend"
	"triality/server/report"
	"triality/server/store"
)

func jobCommands() []command {
	return []command{
		{"run", "CONFIG", "run a pipeline: convert, finetune, replace, abtest, report", setupRun},
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
	fs.Var(&set, "set", "`KEY=VALUE` that wins over the file, such as training.lora_r=8; may be repeated")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("run wants one configuration file: triality run configs/demo.yaml")
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		if o.server != nil {
			return e.runThrough(ctx, o.server, args[0], *name, set)
		}
		err = e.runPipeline(ctx, o.store, args[0], *name, set)
		return errors.Join(err, o.Close())
	}
}

func dataFlag(fs *flag.FlagSet) *string {
	return fs.String("data", "data", "`folder` of the tracker's database and artifacts")
}

// runPipeline runs a configuration file and prints the outcome.
func (e *env) runPipeline(ctx context.Context, st *store.Store, path, name string, set []string) (err error) {
	cfg, yaml, err := readConfig(path, set)
	if err != nil {
		return err
	}
	runner, closeRunner, err := openRunner(st, cfg, 0, e.logger(slog.LevelWarn))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRunner()) }()
	screen := newTerminal(e.stderr)
	runner.Watcher = screen
	run, upToDate, err := runner.Run(ctx, cfg, pipeline.RunOptions{Name: name, YAML: yaml})
	screen.clear()
	if err != nil {
		return err
	}
	return e.printOutcome(run, upToDate)
}

// printOutcome prints the headline of a finished run.
func (e *env) printOutcome(run experiments.Run, upToDate bool) error {
	dir := map[string]string{}
	for _, s := range run.Steps {
		dir[s.Kind] = s.Output
	}
	result, err := pipeline.ReadABResult(dir["abtest"])
	if err != nil {
		return err
	}
	out := struct {
		Run      experiments.Run       `json:"run"`
		UpToDate bool                  `json:"up_to_date"` // every step had a finished result
		Results  string                `json:"results"`
		Report   string                `json:"report"`
		ABTest   *experiments.ABResult `json:"abtest"`
	}{run, upToDate, filepath.Join(dir["abtest"], "results.json"), filepath.Join(dir["report"], "report.html"), result}
	return e.result(out, func(w io.Writer) {
		if upToDate {
			for _, s := range run.Steps {
				fmt.Fprintf(w, "%-9s up to date: %s\n", s.Kind, s.Output)
			}
			fmt.Fprintln(w, "nothing to run: every step has a finished result")
		}
		printABResult(w, result)
		fmt.Fprintf(w, "\nrun     %s\nresults %s\nreport  %s\n", run.ID, out.Results, out.Report)
	})
}

// openRunner joins engine, sandbox, tracker and reporter. The second result closes what it opened.
func openRunner(tracker experiments.Tracker, cfg config.Pipeline, card int, log *slog.Logger) (*pipeline.Runner, func() error, error) {
	reporter := report.New(report.Assets{EChartsJS: frontend.ReportECharts()})
	if err := reporter.Check(); err != nil {
		return nil, nil, err
	}
	engine, closeEngine, err := openEngine(cfg, card, log)
	if err != nil {
		return nil, nil, err
	}
	return &pipeline.Runner{Engine: engine, Tracker: tracker, Reporter: reporter, Version: Version}, closeEngine, nil
}

func openEngine(cfg config.Pipeline, card int, log *slog.Logger) (*pipeline.Engine, func() error, error) {
	host, err := openSandbox(0, log)
	if err != nil {
		return nil, nil, err
	}
	dev, notes, err := pipeline.OpenCard(cfg, card)
	if err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	return &pipeline.Engine{Device: dev, Room: pipeline.Room{Card: int64(cfg.MemoryLimit)}, Storage: pipeline.StorageOn(dev, cfg), Recompute: pipeline.Recompute(cfg.Training), Config: pipeline.ModelConfig(cfg), Notes: notes, Sandbox: host}, func() error { return errors.Join(host.Close(), dev.Close()) }, nil
}
