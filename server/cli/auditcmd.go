package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/audit"
	"triality/experiments/dataset"
)

func dataCommands() []command {
	return []command{{"dataset audit", "PATH", "what should not be trained on unseen: data of persons, secrets, duplicates, conflicts", setupAudit}}
}

func setupAudit(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	strict := fs.Bool("strict", false, "refuse a file with a bad line instead of skipping the line")
	refuse := fs.Bool("refuse", false, "exit with status 2 where data of persons or a secret is found")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("dataset audit wants one .jsonl file, folder of four_class_*.jsonl, or glob pattern")
		}
		a, err := dataset.AuditRows(ctx, args[0], *strict, nil)
		if err != nil {
			return err
		}
		if err := e.result(a, func(w io.Writer) { printAudit(w, a) }); err != nil {
			return err
		}
		if *refuse && a.PersonalRows > 0 {
			return experiments.Errorf(experiments.CodeInvalid, "%s: %d of %d rows hold data of persons or secrets, the first: %s", args[0], a.PersonalRows, a.Rows, a.Found[0])
		}
		return nil
	}
}

func printAudit(w io.Writer, a *dataset.Audit) {
	fmt.Fprintf(w, "%d rows of %d files, %d bad lines skipped\n", a.Rows, len(a.Files), a.Skipped)
	fmt.Fprintf(w, "characters of a row: median %d, 95 %% up to %d, longest %d\n", a.Characters.Median, a.Characters.P95, a.Characters.Longest)
	for _, label := range experiments.Labels {
		fmt.Fprintf(w, "  %-12s %6d", label, a.Labels[label])
		for _, language := range slices.Sorted(maps.Keys(a.Languages[label])) {
			fmt.Fprintf(w, "  %s %d", language, a.Languages[label][language])
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "near-duplicates under different source_sample: %d; rows without a licence: %d; without a source: %d\n", a.Duplicates, a.NoLicence, a.NoSource)
	for _, f := range a.Findings {
		fmt.Fprintln(w, f)
	}
	fmt.Fprintf(w, "data of persons or secrets: %d rows\n", a.PersonalRows)
	for _, kind := range audit.Kinds {
		if n := a.Personal[kind]; n > 0 {
			fmt.Fprintf(w, "  %-12s %6d\n", kind, n)
		}
	}
	for _, f := range a.Found[:min(10, len(a.Found))] {
		fmt.Fprintf(w, "  %s\n", f)
	}
}
