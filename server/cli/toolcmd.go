package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline"
)

func toolCommands() []command {
	return []command{
		{"config reference", "", "print the configuration's reference page", setupConfigReference},
		{"version", "", "print the version", setupVersion},
	}
}

func dbCommands() []command {
	return []command{{"db check", "", "check the tracker's database and artifacts", setupDBCheck}}
}

func setupDBCheck(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
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
		if err != nil {
			return err
		}
		err = e.result(map[string][]string{"problems": append([]string{}, problems...)}, func(w io.Writer) {
			for _, p := range problems {
				fmt.Fprintln(w, p)
			}
			if len(problems) == 0 {
				fmt.Fprintln(w, "no problem found")
			}
		})
		if err == nil && len(problems) > 0 {
			err = fmt.Errorf("%d problems in %s", len(problems), *data)
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

// build says what program this is.
type build struct {
	Version string `json:"version"`
	Engine  string `json:"engine"` // steps of other engine versions are run again
	Go      string `json:"go"`
	System  string `json:"system"`
}

func thisBuild() build {
	return build{Version, pipeline.EngineVersion, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
}

func (b build) String() string {
	return fmt.Sprintf("triality %s, engine %s, %s %s", b.Version, b.Engine, b.Go, b.System)
}

func setupVersion(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		return e.result(thisBuild(), func(w io.Writer) { fmt.Fprintln(w, thisBuild()) })
	}
}
