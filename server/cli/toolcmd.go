package cli

import (
	"context"
	"fmt"
	"io"
	"runtime"

	flag "github.com/spf13/pflag"

	"triality/experiments/config"
	"triality/experiments/kinds"
	"triality/experiments/pipeline"
)

func toolCommands() []command {
	return []command{
		{"config reference", "", "print the configuration's reference page", setupConfigReference},
		{"config kinds", "", "print the page of the kinds of steps that a graph is made of", setupConfigKinds},
		{"version", "", "print the version", setupVersion},
	}
}

func setupConfigReference(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		_, err := fmt.Fprint(e.stdout, config.Reference())
		return err
	}
}

func setupConfigKinds(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		_, err := fmt.Fprint(e.stdout, kinds.Reference())
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
