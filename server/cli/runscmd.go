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
		{"search", "FILTER...", "runs of all experiments that match, such as triality search 'best(eval/f1) > 0.8'", setupSearch},
		{"runs list", "", "recorded runs, the newest first, or those that match in any order", setupRunsList},
		{"runs show", "RUN", "one run: its steps, parameters and last values", setupRunsShow},
		{"runs compare", "RUN RUN... | --filter FILTER", "what differs between runs: parameters and last values", setupRunsCompare},
	}
}

func setupRunsList(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	found := newSearchFlags(fs, 20)
	status := fs.String("status", "", "only queued, running, finished, failed or interrupted ones")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if found.given() {
			if *status != "" {
				return usagef("--status: write it into the filter: --filter \"status = %s\"", *status)
			}
			return e.printFound(ctx, *data, found)
		}
		if err := found.check(); err != nil {
			return err
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		list, err := o.runs(ctx, "", experiments.Status(*status), *found.limit)
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
	found := newSearchFlags(fs, 10)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) < 2 && !found.given() {
			return usagef("runs compare wants at least two run ids, or a --filter that finds runs")
		}
		if err := found.check(); err != nil {
			return err
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		if found.given() {
			got, err := e.find(ctx, o, found)
			if err != nil {
				return err
			}
			for _, r := range got.Items {
				args = append(args, r.ID)
			}
			if len(args) < 2 {
				return experiments.Errorf(experiments.CodeNotFound, "%d of the recorded runs match: at least two are compared", got.Total)
			}
		}
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
