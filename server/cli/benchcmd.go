package cli

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"triality/experiments"
	"triality/runtime/sandbox/metricbench"
)

func benchCommands() []command {
	return []command{{"bench metric", "LANGUAGE=FILE...", "metric modules against the same metrics in native Go, as JSON", setupBenchMetric}}
}

// shippedBench are the modules measured where none are named; one that was not built is left out.
var shippedBench = []struct{ language, file string }{
	{"c", "brier_c.wasm"}, {"assemblyscript", "brier.wasm"}, {"go", "calibration.wasm"},
}

func setupBenchMetric(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	rows := fl.Int("rows", 1_000_000, "rows of the large table; two arms")
	dist := fl.String("dist", filepath.Join("wasm-metrics", "dist"), "`folder` of the shipped modules")
	return func(ctx context.Context, args []string) error {
		if *rows < 1 {
			return usagef("--rows must be at least 1")
		}
		modules, err := benchModules(args, *dist)
		if err != nil {
			return err
		}
		report, err := metricbench.Run(ctx, metricbench.Options{Rows: *rows}, modules...)
		if err != nil {
			return invalid(err)
		}
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(report)
	}
}

func benchModules(args []string, dist string) ([]metricbench.Module, error) {
	var out []metricbench.Module
	for _, a := range args {
		language, file, ok := strings.Cut(a, "=")
		if !ok {
			return nil, usagef("want LANGUAGE=FILE, such as go=my_metric.wasm, have %q", a)
		}
		wasm, err := os.ReadFile(file)
		if err != nil {
			return nil, invalid(err)
		}
		out = append(out, metricbench.Module{Language: language, Wasm: wasm})
	}
	if len(args) > 0 {
		return out, nil
	}
	for _, s := range shippedBench {
		wasm, err := os.ReadFile(filepath.Join(dist, s.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, invalid(err)
		}
		out = append(out, metricbench.Module{Language: s.language, Wasm: wasm})
	}
	if len(out) == 0 {
		return nil, experiments.Errorf(experiments.CodeNotFound, "%s: no built metric; `task metrics` builds them", dist)
	}
	return out, nil
}
