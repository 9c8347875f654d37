package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
)

func runsCommands() []command {
	return []command{
		{"runs list", "", "recorded runs, the newest first", setupRunsList},
		{"runs show", "RUN", "one run: its steps, parameters and last values", setupRunsShow},
		{"runs compare", "RUN RUN...", "what differs between runs: parameters and last values", setupRunsCompare},
	}
}

func setupRunsList(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	limit := fs.Int("limit", 20, "how many at most, up to 1000")
	status := fs.String("status", "", "only queued, running, finished, failed or interrupted ones")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if *limit < 1 || *limit > 1000 {
			return usagef("--limit: want a whole number from 1 to 1000, have %d", *limit)
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		list, err := o.runs(ctx, "", experiments.Status(*status), *limit)
		if err != nil {
			return err
		}
		return e.result(append([]experiments.Run{}, list...), func(w io.Writer) {
			table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			defer table.Flush()
			for _, r := range list {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.ID, r.CreatedAt.Local().Format(time.DateTime), r.Status, r.Name)
			}
		})
	}
}

func setupRunsShow(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	return e.show(fs, "runs", func(w io.Writer, run experiments.Run) {
		printRun(w, run)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		defer table.Flush()
		for _, k := range sortedKeys(run.Params) {
			fmt.Fprintf(table, "  %s\t%s\n", k, run.Params[k])
		}
		for _, k := range sortedKeys(run.Summary) {
			fmt.Fprintf(table, "  %s\t%.6g\n", k, run.Summary[k])
		}
	})
}

// difference is a parameter or a last value of several runs; a run that has none has "".
type difference struct {
	Key    string   `json:"key"`
	Values []string `json:"values"` // in the order of the runs
}

func setupRunsCompare(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	all := fs.Bool("all", false, "what is the same too")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) < 2 {
			return usagef("runs compare wants at least two run ids")
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		var runs []experiments.Run
		for _, id := range args {
			r, err := o.run(ctx, id)
			if err != nil {
				return err
			}
			runs = append(runs, r)
		}
		rows := differences(runs, *all)
		return e.result(rows, func(w io.Writer) {
			table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			defer table.Flush()
			fmt.Fprint(table, "run")
			for _, r := range runs {
				fmt.Fprintf(table, "\t%s", r.Name)
			}
			fmt.Fprintln(table)
			for _, row := range rows {
				fmt.Fprint(table, row.Key)
				for _, v := range row.Values {
					fmt.Fprintf(table, "\t%s", v)
				}
				fmt.Fprintln(table)
			}
		})
	}
}

// differences lists parameters, then last values, in the order of their names; those that all runs share
// only where all is set.
func differences(runs []experiments.Run, all bool) []difference {
	params, values := map[string]bool{}, map[string]bool{}
	for _, r := range runs {
		for k := range r.Params {
			params[k] = true
		}
		for k := range r.Summary {
			values[k] = true
		}
	}
	rows := []difference{}
	add := func(key string, of func(experiments.Run) string) {
		row := difference{Key: key}
		for _, r := range runs {
			row.Values = append(row.Values, of(r))
		}
		if all || slices.ContainsFunc(row.Values, func(v string) bool { return v != row.Values[0] }) {
			rows = append(rows, row)
		}
	}
	for _, k := range sortedKeys(params) {
		add(k, func(r experiments.Run) string { return r.Params[k] })
	}
	for _, k := range sortedKeys(values) {
		add(k, func(r experiments.Run) string {
			if v, ok := r.Summary[k]; ok {
				return fmt.Sprintf("%.6g", v)
			}
			return ""
		})
	}
	return rows
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
