package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/server/shared"
	"triality/server/worker"
)

// sharing are the flags that name a team's results.
type sharing struct{ where, region, by *string }

func sharedFlags(fs *flag.FlagSet) sharing {
	return sharing{
		where:  fs.String("shared", os.Getenv("TRIALITY_SHARED"), "`folder` or S3-compatible bucket, https://HOST/BUCKET/FOLDER, in which a team shares the results of steps (default: $TRIALITY_SHARED, else none)"),
		region: fs.String("shared-region", "", "`region` of that bucket (default: asked for)"),
		by:     fs.String("shared-as", os.Getenv("TRIALITY_SHARED_AS"), "`name` under which results from here are shared (default: $TRIALITY_SHARED_AS, else USER@HOST)"),
	}
}

// named gives them as a worker gets them, which may have another working folder.
func (s sharing) named() (worker.Shared, error) {
	out := worker.Shared{Where: *s.where, Region: *s.region, By: *s.by}
	if out.Where == "" || strings.Contains(out.Where, "://") {
		return out, nil
	}
	var err error
	if out.Where, err = filepath.Abs(out.Where); err != nil {
		return out, fmt.Errorf("--shared: %w", err)
	}
	return out, nil
}

func (s sharing) open(ctx context.Context, log *slog.Logger) (graph.Shared, error) {
	o, err := s.named()
	if err != nil {
		return nil, err
	}
	return openShared(ctx, o, log)
}

// openShared opens a store of results; nil where none is named, or where it does not answer, which is logged: work goes on
// without it.
func openShared(ctx context.Context, o worker.Shared, log *slog.Logger) (graph.Shared, error) {
	if o.Where == "" {
		return nil, nil
	}
	st, err := shared.Open(ctx, shared.Options{Where: o.Where, Region: o.Region, By: o.By, Logger: log})
	switch {
	case experiments.CodeOf(err) == experiments.CodeUnavailable && ctx.Err() == nil:
		return nil, nil // it has logged why
	case err != nil:
		return nil, err
	}
	return st, nil
}

func sharedCommands() []command {
	return []command{
		{"shared list", "", "results that a team shares: what made them, who, and how large they are", setupSharedList},
		{"shared prune", "", "remove shared results that are older than --older, and the files that no other result has", setupSharedPrune},
	}
}

// must opens the store that a command is about.
func (s sharing) must(ctx context.Context, log *slog.Logger) (*shared.Store, error) {
	if *s.where == "" {
		return nil, usagef("say which results: --shared, or $TRIALITY_SHARED")
	}
	return shared.Open(ctx, shared.Options{Where: *s.where, Region: *s.region, By: *s.by, Logger: log})
}

func setupSharedList(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	share := sharedFlags(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		st, err := share.must(ctx, e.logger(slog.LevelWarn))
		if err != nil {
			return err
		}
		list, err := st.List(ctx)
		if err != nil {
			return err
		}
		return e.result(struct {
			Results []shared.Entry `json:"results"`
		}{list}, func(w io.Writer) { printEntries(w, list) })
	}
}

func printEntries(w io.Writer, list []shared.Entry) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range list {
		what := fmt.Sprintf("%s\t%s\ttook %v\t%.1f MB", r.Kind, r.By, time.Duration(r.Seconds*float64(time.Second)).Round(100*time.Millisecond), float64(r.Bytes)/1e6)
		if r.Problem != "" {
			what = "not readable: " + r.Problem
		}
		fmt.Fprintf(table, "%.12s\t%s\t%s\n", r.Key, r.Shared.Local().Format(time.DateTime), what)
	}
	table.Flush()
	fmt.Fprintf(w, "%d results\n", len(list))
}

func setupSharedPrune(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	share := sharedFlags(fs)
	older := fs.Duration("older", 0, "`age` from which a result is removed, such as 2160h for 90 days")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if *older <= 0 {
			return usagef("--older: say from which age results are removed, such as 2160h")
		}
		st, err := share.must(ctx, e.logger(slog.LevelWarn))
		if err != nil {
			return err
		}
		removed, bytes, err := st.Prune(ctx, time.Now().Add(-*older))
		if err != nil {
			return err
		}
		return e.result(struct {
			Removed []shared.Entry `json:"removed"`
			Bytes   int64          `json:"bytes"`
		}{removed, bytes}, func(w io.Writer) {
			printEntries(w, removed)
			fmt.Fprintf(w, "%.1f MB are free; files that were used in the last day stay until the next prune\n", float64(bytes)/1e6)
		})
	}
}
