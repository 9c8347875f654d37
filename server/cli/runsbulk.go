package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/server/client"
	"triality/server/search"
	"triality/server/store"
)

func bulkCommands() []command {
	return []command{
		{"runs tag", "RUN... | --filter FILTER", "set and remove tags, such as triality runs tag RUN --set team=a --unset old", setupRunsTag},
		{"runs move", "RUN... | --filter FILTER", "move runs to another experiment", setupRunsMove},
		{"runs archive", "RUN... | --filter FILTER", "leave runs out of searches", bulkOf(store.ActionArchive)},
		{"runs restore", "RUN... | --filter FILTER", "take runs out of the archive", bulkOf(store.ActionUnarchive)},
		{"runs delete", "RUN... | --filter FILTER", "delete runs that have ended; runs undo brings them back", bulkOf(store.ActionDelete)},
		{"runs undo", "[TOKEN]", "undo a change of runs or a deletion; without a token, what can be undone", setupRunsUndo},
		{"views list", "", "saved views of the runs' tables", setupViewsList},
	}
}

// picked are the runs that a command changes: named, or found by a filter.
type picked struct {
	data     *string
	filter   *string
	exps     settings
	archived *string
	yes      *bool
}

func pickFlags(fs *flag.FlagSet) *picked {
	p := &picked{
		data:     dataFlag(fs),
		filter:   fs.String("filter", "", "the runs for which this holds, in place of naming them"),
		archived: fs.String("archived", "", "with --filter: also, or only, runs that are archived"),
		yes:      fs.Bool("yes", false, "with --filter: do it; without, only say how many runs match"),
	}
	fs.Var(&p.exps, "experiment", "only runs of this experiment, by name or id; may be given several times")
	return p
}

// change carries out a change of the runs that are picked and prints what came of it. action says what is done, once
// the tracker is open.
func (e *env) change(ctx context.Context, p *picked, args []string, action func(o owner) (client.Bulk, error)) error {
	byFilter := *p.filter != "" || len(p.exps) > 0 || *p.archived != ""
	if byFilter == (len(args) > 0) {
		return usagef("want the ids of runs, or a --filter that finds them, such as --filter 'status = failed'")
	}
	o, err := e.open(ctx, *p.data)
	if err != nil {
		return err
	}
	defer o.Close()
	b, err := action(o)
	if err != nil {
		return err
	}
	b.IDs = args
	if byFilter {
		in := search.Request{Filter: *p.filter, Archived: search.Archived(*p.archived), Limit: 1}
		for _, name := range p.exps {
			id, err := o.experiment(ctx, name)
			if err != nil {
				return err
			}
			in.Experiments = append(in.Experiments, id)
		}
		found, err := o.search(ctx, in)
		if err != nil {
			return err
		}
		for _, n := range found.Notes {
			fmt.Fprintln(e.stderr, "note:", n.Message)
		}
		if found.Total == 0 {
			return experiments.Errorf(experiments.CodeNotFound, "no run matches")
		}
		if !*p.yes {
			return experiments.Errorf(experiments.CodeInvalid, "%d runs match; nothing was changed: give --yes to change them, or look at them by triality runs list with the same --filter", found.Total)
		}
		b.IDs, b.Where = nil, &client.Where{Filter: in.Filter, Experiments: in.Experiments, Archived: in.Archived, Expected: found.Total}
	}
	c, err := o.change(ctx, b)
	if err != nil {
		return err
	}
	return e.printChange(c)
}

func (e *env) printChange(c store.Change) error {
	return e.result(c, func(w io.Writer) {
		switch c.State {
		case store.ChangeUndone, store.ChangeUndoing:
			fmt.Fprintf(w, "restored %d, left as they had become %d\n", c.Restored, c.Left)
		default:
			fmt.Fprintf(w, "changed %d, unchanged %d, skipped %d\n", c.Changed, c.Unchanged, c.Skipped)
			if c.Changed > 0 {
				fmt.Fprintf(w, "until %s this undoes it: triality runs undo %s\n", c.Expires.Local().Format(time.DateTime), c.Token)
			}
		}
		for _, p := range c.Problems {
			fmt.Fprintf(w, "  %s: %s\n", p.ID, p.Reason)
		}
		if c.State == store.ChangeDoing || c.State == store.ChangeUndoing {
			fmt.Fprintln(w, "the rest is done by itself, when the tracker is opened the next time")
		}
	})
}

func bulkOf(action store.Action) func(*env, *flag.FlagSet) func(context.Context, []string) error {
	return func(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
		p := pickFlags(fs)
		e.jsonFlag(fs)
		return func(ctx context.Context, args []string) error {
			return e.change(ctx, p, args, func(owner) (client.Bulk, error) { return client.Bulk{Action: action}, nil })
		}
	}
}

func setupRunsTag(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	p := pickFlags(fs)
	var set, unset settings
	fs.Var(&set, "set", "`KEY=VALUE`; may be given several times")
	fs.Var(&unset, "unset", "`KEY` to remove; may be given several times")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		tags := map[string]*string{}
		for _, text := range set {
			k, v, ok := strings.Cut(text, "=")
			if !ok || k == "" {
				return usagef("--set %s: want KEY=VALUE", text)
			}
			tags[k] = &v
		}
		for _, k := range unset {
			if tags[k] != nil {
				return usagef("--unset %s: the same tag is set", k)
			}
			tags[k] = nil
		}
		if len(tags) == 0 {
			return usagef("runs tag wants --set KEY=VALUE or --unset KEY")
		}
		return e.change(ctx, p, args, func(owner) (client.Bulk, error) { return client.Bulk{Action: store.ActionTag, Tags: tags}, nil })
	}
}

func setupRunsMove(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	p := pickFlags(fs)
	to := fs.String("to", "", "the `experiment`, by name or id")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"to": *to}); err != nil {
			return err
		}
		return e.change(ctx, p, args, func(o owner) (client.Bulk, error) {
			id, err := o.experiment(ctx, *to)
			return client.Bulk{Action: store.ActionMove, ExperimentID: id}, err
		})
	}
}

func setupRunsUndo(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	skip := fs.Bool("skip-conflicts", false, "leave what was changed since, and undo the rest")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) > 1 {
			return usagef("runs undo wants one token, which the change gave")
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		if len(args) == 0 {
			return e.printChanges(ctx, o)
		}
		c, err := o.undo(ctx, args[0], *skip)
		if err != nil {
			return err
		}
		return e.printChange(c)
	}
}

func (e *env) printChanges(ctx context.Context, o owner) error {
	changes, err := o.changes(ctx)
	if err != nil {
		return err
	}
	return e.result(append([]store.Change{}, changes...), func(w io.Writer) {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		defer table.Flush()
		for _, c := range changes {
			fmt.Fprintf(table, "%s\t%s\t%s\t%d runs\t%s\n", c.Token, c.At.Local().Format(time.DateTime), c.Action, c.Changed, c.State)
		}
	})
}

func setupViewsList(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		views, err := o.views(ctx)
		if err != nil {
			return err
		}
		return e.result(append([]store.View{}, views...), func(w io.Writer) {
			table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
			defer table.Flush()
			for _, v := range views {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", v.ID, v.Updated.Local().Format(time.DateTime), v.Experiment, v.Folder, v.Name)
			}
		})
	}
}

// change changes runs, those of a filter if they are still as many.
func (o owner) change(ctx context.Context, b client.Bulk) (store.Change, error) {
	if o.server != nil {
		return o.server.ChangeRuns(ctx, b)
	}
	if b.Where != nil { // nobody else has the tracker open: they are as many
		q, err := search.Request{Filter: b.Where.Filter, Experiments: b.Where.Experiments, Archived: b.Where.Archived}.Query()
		if err != nil {
			return store.Change{}, err
		}
		if b.IDs, err = o.store.Matching(ctx, q); err != nil {
			return store.Change{}, err
		}
	}
	return o.store.ChangeRuns(ctx, store.Bulk{IDs: b.IDs, Action: b.Action, Tags: b.Tags, Experiment: b.ExperimentID})
}

func (o owner) undo(ctx context.Context, token string, skip bool) (store.Change, error) {
	if o.server != nil {
		return o.server.Undo(ctx, token, skip)
	}
	return o.store.Undo(ctx, token, skip)
}

func (o owner) changes(ctx context.Context) ([]store.Change, error) {
	if o.server != nil {
		return o.server.Changes(ctx)
	}
	return o.store.Changes(ctx)
}

func (o owner) views(ctx context.Context) ([]store.View, error) {
	if o.server != nil {
		return o.server.Views(ctx)
	}
	return o.store.Views(ctx, nil, nil)
}
