package cli

import (
	"context"
	"fmt"

	flag "github.com/spf13/pflag"

	"triality/server/trackerbench"
)

func setupBenchTracker(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	var o trackerbench.Options
	benchSizes(fl, &o)
	fl.IntVar(&o.Rounds, "rounds", 200, "requests of the most frequent kind")
	fl.IntVar(&o.Curves, "curves", 0, "points of each of 24 metrics of 10 runs, for pages of charts; 0: none of them")
	fl.StringVar(&o.Keep, "keep", "", "data `folder` that stays: made where it is not there, measured again where it is")
	fl.StringVar(&o.Dir, "dir", "", "`folder` for the temporary data; the system's otherwise")
	o.Progress = func(begins string) { fmt.Fprintln(e.stderr, begins) }
	return func(ctx context.Context, args []string) error {
		for name, n := range map[string]int{"runs": o.Runs, "metrics": o.Metrics, "params": o.Params, "points": o.Points, "columns": o.Columns, "curve": o.Curve, "rounds": o.Rounds} {
			if n < 1 || n > 100_000_000 {
				return usagef("--%s: want a whole number from 1 to 100000000, have %d", name, n)
			}
		}
		if o.Curves < 0 || o.Curves > 100_000_000 {
			return usagef("--curves: want a whole number from 0 to 100000000, have %d", o.Curves)
		}
		report, err := trackerbench.Run(ctx, o)
		if err != nil {
			return err
		}
		return printJSON(e.stdout, report)
	}
}

// benchSizes are the flags that say how much is made.
func benchSizes(fl *flag.FlagSet, o *trackerbench.Options) {
	for _, f := range []struct {
		name  string
		to    *int
		value int
		about string
	}{
		{"runs", &o.Runs, 20_000, "runs to search"},
		{"metrics", &o.Metrics, 50, "metrics of each"},
		{"params", &o.Params, 30, "parameters of each"},
		{"points", &o.Points, 10, "points of each metric"},
		{"columns", &o.Columns, 12_000, "distinct metrics of the runs that have many"},
		{"curve", &o.Curve, 1_000_000, "points of the long curve"},
	} {
		fl.IntVar(f.to, f.name, f.value, f.about)
	}
}
