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
	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline"
	"triality/runtime/metrictemplate"
	"triality/runtime/printable"
	"triality/server/modules"
)

func metricCommands() []command {
	return []command{
		{"metric new", "NAME", "a folder to start a WebAssembly metric from", setupMetricNew},
		{"metric check", "FILE", "validate a WebAssembly metric as an upload would", setupMetricCheck},
		{"metric try", "FILE", "run a metric on a finished A/B test and keep its result with the run", setupMetricTry},
	}
}

func setupMetricNew(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	lang := fs.String("lang", "go", strings.Join(metrictemplate.Languages(), ", "))
	dir := fs.String("dir", ".", "`folder` in which the metric's folder is made")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("metric new wants one name")
		}
		if err := metrictemplate.Write(*dir, *lang, args[0]); err != nil {
			return invalid(err)
		}
		path := filepath.Join(*dir, args[0])
		return e.result(outputs{Outputs: []string{path}}, func(w io.Writer) {
			fmt.Fprintf(w, "%s: its README.md has the command that builds it\n", path)
		})
	}
}

func setupMetricCheck(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	timeout := fs.Duration("timeout", 0, "wall-clock `limit` of one call (default: the sandbox's 30s)")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("metric check wants one .wasm file")
		}
		module, err := pipeline.ReadModule(args[0], nil, 0)
		if err != nil {
			return err
		}
		host, err := openSandbox(*timeout, e.logger(slog.LevelWarn))
		if err != nil {
			return usagef("%v", err)
		}
		m, err := pipeline.CheckModule(ctx, host, module.Wasm)
		checks := m.Checks
		if err != nil {
			checks = checksOf(err)
		}
		m.Checks = checks
		out := e.result(m, func(w io.Writer) {
			for _, c := range checks {
				verdict := "ok"
				if !c.OK {
					verdict = "FAILED"
				}
				fmt.Fprintf(w, "%-12s %-7s %s\n", c.Name, verdict, printable.Line(c.Detail))
				printLog(w, c.Log)
			}
			if err == nil {
				fmt.Fprintf(w, "%s %s, %d bytes, sha256 %s\n", printable.Line(m.Name), printable.Line(m.Version), m.Size, m.SHA256)
			}
		})
		return errors.Join(err, out, host.Close())
	}
}

// checksOf are the checks of a module that was refused.
func checksOf(err error) []experiments.Check {
	var coded *experiments.Error
	if !errors.As(err, &coded) {
		return nil
	}
	checks, _ := coded.Details["checks"].([]experiments.Check)
	return checks
}

func setupMetricTry(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	run := fs.String("run", "", "`id` of a run with a finished A/B test")
	var set settings
	fs.Var(&set, "param", "`NAME=VALUE` of a parameter, the value as YAML; may be repeated")
	e.jsonFlag(fs)
	var slices many
	fs.Var(&slices, "slice", "compute it on the rows of each value of this `column` too: class, language, domain, group or a field of the rows; may be repeated")
	return func(ctx context.Context, args []string) (err error) {
		if err := config.CheckSlices(slices); err != nil {
			return usagef("--slice: %v", err)
		}
		if err := need(map[string]string{"run": *run}); err != nil {
			return err
		}
		if len(args) != 1 {
			return usagef("metric try wants one .wasm file")
		}
		params, err := parseParams(set)
		if err != nil {
			return err
		}
		module, err := pipeline.ReadModule(args[0], params, 0)
		if err != nil {
			return err
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, o.Close()) }()
		out, err := e.tryModule(ctx, o, *run, module, slices)
		if err != nil {
			return err
		}
		return e.result(out, func(w io.Writer) {
			printModuleResult(w, out.Name, out)
			fmt.Fprintf(w, "kept with run %s\n", *run)
		})
	}
}

// tryModule adds a module and runs it on a run's A/B test, through the server where one runs.
func (e *env) tryModule(ctx context.Context, o owner, run string, m pipeline.Module, slices []string) (out experiments.ModuleResult, err error) {
	add, try := func() (err error) { _, err = o.server.AddModule(ctx, m.Wasm); return err }, func() (experiments.ModuleResult, error) {
		return o.server.TryModule(ctx, run, m.SHA256, m.Params, slices)
	}
	if o.server == nil {
		host, err := openSandbox(0, e.logger(slog.LevelWarn))
		if err != nil {
			return out, err
		}
		defer func() { err = errors.Join(err, host.Close()) }()
		service := modules.New(o.store, host)
		add, try = func() (err error) { _, err = service.Add(ctx, m.Wasm); return err }, func() (experiments.ModuleResult, error) {
			return service.Try(ctx, run, m.SHA256, m.Params, slices...)
		}
	}
	if err := add(); err != nil {
		for _, c := range checksOf(err) {
			printLog(e.stderr, c.Log)
		}
		return out, err
	}
	if out, err = try(); err != nil {
		printLog(e.stderr, out.Log)
	}
	return out, err
}

func parseParams(set []string) (map[string]any, error) {
	params := map[string]any{}
	for _, s := range set {
		name, text, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usagef("--param wants NAME=VALUE, have %q", s)
		}
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			return nil, usagef("--param %s: %v", name, err)
		}
		params[name] = v
	}
	return params, nil
}
