package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/server/search"
)

// searchFlags are those of commands that find runs.
type searchFlags struct {
	filter              *string
	sort, columns, exps settings
	archived            *string
	limit               *int
	cursor              *string
}

func newSearchFlags(fs *flag.FlagSet, limit int) *searchFlags {
	s := &searchFlags{
		filter:   fs.String("filter", "", "only runs for which this holds, such as \"best(eval/f1) > 0.8 AND lr = 1e-4\""),
		archived: fs.String("archived", "", "also, or only, runs that are archived"),
		limit:    fs.Int("limit", limit, "how many at most, up to 1000"),
	}
	fs.Var(&s.sort, "sort", "order by a key, such as \"metrics.loss\" or \"name DESC\"; may be given several times")
	fs.Var(&s.columns, "column", "print this key too, such as params.lr; may be given several times")
	fs.Var(&s.exps, "experiment", "only of this experiment, by name or id; may be given several times")
	s.cursor = fs.String("cursor", "", "next_cursor of the page before")
	return s
}

// given says that something is asked for that a plain list does not have.
func (s *searchFlags) given() bool {
	return *s.filter != "" || len(s.sort) > 0 || len(s.columns) > 0 || len(s.exps) > 0 || *s.archived != "" || *s.cursor != ""
}

func (s *searchFlags) check() error {
	if *s.limit < 1 || *s.limit > search.MaxLimit {
		return usagef("--limit: want a whole number from 1 to %d, have %d", search.MaxLimit, *s.limit)
	}
	return nil
}

// find searches. Notes go to standard error.
func (e *env) find(ctx context.Context, o owner, s *searchFlags) (search.Result, error) {
	in := search.Request{Filter: *s.filter, OrderBy: s.sort, Columns: s.columns, Archived: search.Archived(*s.archived), Limit: *s.limit, Cursor: *s.cursor}
	for _, name := range s.exps {
		id, err := o.experiment(ctx, name)
		if err != nil {
			return search.Result{}, err
		}
		in.Experiments = append(in.Experiments, id)
	}
	got, err := o.search(ctx, in)
	for _, n := range got.Notes {
		fmt.Fprintln(e.stderr, "note:", n.Message)
	}
	return got, err
}

// search finds runs.
func (o owner) search(ctx context.Context, in search.Request) (search.Result, error) {
	if o.server != nil {
		return o.server.Search(ctx, in)
	}
	q, err := in.Query()
	if err != nil {
		return search.Result{}, err
	}
	return o.store.Search(ctx, q)
}

// experiment gives the id of an experiment by its name or id.
func (o owner) experiment(ctx context.Context, name string) (string, error) {
	for cursor := ""; ; {
		items, next, err := o.experiments(ctx, cursor)
		if err != nil {
			return "", err
		}
		for _, e := range items {
			if e.Name == name || e.ID == name {
				return e.ID, nil
			}
		}
		if cursor = next; cursor == "" {
			return "", experiments.Errorf(experiments.CodeNotFound, "there is no experiment named %q", name)
		}
	}
}

func setupSearch(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	s := newSearchFlags(fs, 20)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			if *s.filter != "" {
				return usagef("give the filter as arguments or as --filter, not both")
			}
			*s.filter = strings.Join(args, " ")
		}
		return e.printFound(ctx, *data, s)
	}
}

func (e *env) printFound(ctx context.Context, data string, s *searchFlags) error {
	if err := s.check(); err != nil {
		return err
	}
	o, err := e.open(ctx, data)
	if err != nil {
		return err
	}
	defer o.Close()
	got, err := e.find(ctx, o, s)
	if err != nil {
		return err
	}
	return e.result(got, func(w io.Writer) {
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		if len(got.Columns) > 0 {
			fmt.Fprintf(table, "id\tcreated\tstatus\tname\t%s\n", strings.Join(got.Columns, "\t"))
		}
		for _, r := range got.Items {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s", r.ID, r.CreatedAt.Local().Format(time.DateTime), r.Status, r.Name)
			for _, c := range got.Columns {
				fmt.Fprintf(table, "\t%s", printedValue(r.Values[c]))
			}
			fmt.Fprintln(table)
		}
		table.Flush()
		if got.Total > len(got.Items) {
			fmt.Fprintf(w, "%d of %d runs", len(got.Items), got.Total)
			if got.Next != "" {
				fmt.Fprintf(w, "; --cursor %s goes on", got.Next)
			}
			fmt.Fprintln(w)
		}
	})
}

// printedValue is a value of a search in a table; what is missing is a dash.
func printedValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case float64:
		return strconv.FormatFloat(v, 'g', 6, 64)
	case time.Time:
		return v.Local().Format(time.DateTime)
	}
	return fmt.Sprint(v)
}
