package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline"
	"triality/runtime/sandbox"
)

func toolCommands() []command {
	return []command{
		{"metric check", "FILE", "validate a WebAssembly metric as an upload would", setupMetricCheck},
		{"db check", "", "check the tracker's database and artifacts", setupDBCheck},
		{"config reference", "", "print the configuration's reference page", setupConfigReference},
		{"version", "", "print the version", setupVersion},
	}
}

func setupMetricCheck(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("metric check wants one .wasm file")
		}
		module, err := pipeline.ReadModule(args[0], nil, 0)
		if err != nil {
			return err
		}
		host, err := sandbox.NewHost(sandbox.Options{})
		if err != nil {
			return err
		}
		m, err := pipeline.CheckModule(ctx, host, module.Wasm)
		checks := m.Checks
		var coded *experiments.Error
		if errors.As(err, &coded) {
			checks, _ = coded.Details["checks"].([]experiments.Check)
		}
		for _, c := range checks {
			verdict := "ok"
			if !c.OK {
				verdict = "FAILED"
			}
			fmt.Fprintf(e.stdout, "%-12s %-7s %s\n", c.Name, verdict, c.Detail)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stdout, "%s %s, %d bytes, sha256 %s\n", m.Name, m.Version, m.Size, m.SHA256)
		return nil
	}
}

func setupDBCheck(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	return func(ctx context.Context, args []string) error {
		if _, err := os.Stat(*data); err != nil {
			return experiments.Errorf(experiments.CodeNotFound, "%s: no such data folder", *data)
		}
		st, err := openStore(*data)
		if err != nil {
			return err
		}
		problems, err := st.Check(ctx)
		err = errors.Join(err, st.Close())
		for _, p := range problems {
			fmt.Fprintln(e.stdout, p)
		}
		if err == nil && len(problems) > 0 {
			err = fmt.Errorf("%d problems in %s", len(problems), *data)
		}
		if err == nil {
			fmt.Fprintln(e.stdout, "no problem found")
		}
		return err
	}
}

func setupConfigReference(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		_, err := fmt.Fprint(e.stdout, config.Reference())
		return err
	}
}

func setupVersion(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		_, err := fmt.Fprintf(e.stdout, "triality %s, engine %s, %s %s/%s\n", Version, pipeline.EngineVersion, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return err
	}
}
