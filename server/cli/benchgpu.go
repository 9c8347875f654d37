package cli

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments/config"
	"triality/experiments/pipeline"
	"triality/runtime/device"
	"triality/runtime/finetunebench"
)

func setupBenchGPU(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	table := finetunebench.Table()
	var names []string
	for _, r := range table {
		names = append(names, r.Name)
	}
	rows := fl.String("rows", strings.Join(names, ","), "rows to measure, with commas between")
	steps := fl.Int("steps", 8, "optimizer steps of a row, of which the first two are not counted")
	python := fl.String("peer", "", "Python `interpreter` with transformers and peft, which then train the same")
	return func(ctx context.Context, args []string) error {
		if *steps < 3 {
			return usagef("--steps: want a whole number from 3, have %d", *steps)
		}
		var chosen []finetunebench.Row
		for _, name := range strings.Split(*rows, ",") {
			i := slices.Index(names, name)
			if i < 0 {
				return usagef("--rows: want some of %s, have %q", strings.Join(names, ","), name)
			}
			chosen = append(chosen, table[i])
		}
		if *python == "" {
			fmt.Fprintln(e.stderr, "measured without transformers and peft: --peer names a Python that has them")
		}
		open := func(limit int64) (device.Device, error) {
			cfg := config.Default()
			cfg.Device, cfg.MemoryLimit = "cuda", config.Bytes(limit)
			dev, _, err := pipeline.OpenDevice(cfg)
			return dev, err
		}
		if dev, err := open(0); err != nil {
			return invalid(err)
		} else if err := dev.Close(); err != nil {
			return err
		}
		var report struct {
			Revision string               `json:"revision"` // of the source, as far as the build knows it
			Lines    []finetunebench.Line `json:"rows"`
		}
		report.Revision = revision()
		lines, failed := finetunebench.RunTable(ctx, chosen, *steps, *python, open, func(what string) { fmt.Fprintln(e.stderr, what) })
		report.Lines = lines
		return errors.Join(failed, printJSON(e.stdout, report))
	}
}

// revision is the commit that this binary was built from, "modified" where there was more.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	if set["vcs.modified"] == "true" {
		return set["vcs.revision"] + " modified"
	}
	return set["vcs.revision"]
}
