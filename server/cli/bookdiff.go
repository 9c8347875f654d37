package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments/kinds"
	"triality/experiments/notebook"
	"triality/runtime/printable"
)

func setupBookDiff(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	e.jsonFlag(fs)
	return func(_ context.Context, args []string) error {
		if len(args) != 2 {
			return usagef("book diff wants two notebooks: triality book diff before.md after.md")
		}
		var docs [2]*notebook.Document
		for i, name := range args {
			var err error
			if docs[i], err = openBook("book diff", []string{name}); err != nil {
				return err
			}
		}
		d := notebook.Differ(docs[0], docs[1], kinds.All(nil))
		return e.result(d, func(w io.Writer) { printDifference(w, d) })
	}
}

func printDifference(w io.Writer, d notebook.Difference) {
	same := true
	say := func(format string, args ...any) {
		same = false
		fmt.Fprintln(w, printable.Line(fmt.Sprintf(format, args...)))
	}
	keys := func(list []notebook.KeyChange) {
		for _, k := range list {
			if k.Key == "" {
				say("  the body is another, and one of them is no YAML")
				continue
			}
			say("  %s: %s -> %s", k.Key, orNothing(k.Was), orNothing(k.Is))
		}
	}
	if len(d.Settings) > 0 {
		say("~ settings")
		keys(d.Settings)
	}
	for _, id := range d.Removed {
		say("- %s", id)
	}
	for _, id := range d.Added {
		say("+ %s", id)
	}
	for _, c := range d.Changed {
		say("~ %s", c.ID)
		if c.Kind != nil {
			keys([]notebook.KeyChange{*c.Kind})
		}
		keys(c.Keys)
	}
	if d.Prose {
		say("~ prose, or the order of the cells")
	}
	switch {
	case same:
		fmt.Fprintln(w, "no difference")
	case len(d.Stale) > 0:
		say("stale: %s", strings.Join(d.Stale, ", "))
	default:
		say("no cell's result becomes stale")
	}
}

func orNothing(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}
