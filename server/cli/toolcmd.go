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
)

func toolCommands() []command {
	return []command{
		{"db check", "", "check the tracker's database and artifacts", setupDBCheck},
		{"config reference", "", "print the configuration's reference page", setupConfigReference},
		{"version", "", "print the version", setupVersion},
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
