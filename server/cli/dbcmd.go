package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/server/client"
	"triality/server/store"
)

func dbCommands() []command {
	return []command{{"db check", "", "check the tracker's database and artifacts", setupDBCheck}}
}

// checked is what db check prints.
type checked struct {
	Problems []string `json:"problems"`
	Removed  []string `json:"removed,omitempty"` // files that no record pointed to
}

func setupDBCheck(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	repair := fs.Bool("repair", false, "remove files that no record points to")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if _, err := os.Stat(*data); err != nil {
			return experiments.Errorf(experiments.CodeNotFound, "%s: no such data folder", *data)
		}
		out, err := e.checkStore(ctx, *data, *repair)
		if err != nil {
			return err
		}
		err = e.result(out, func(w io.Writer) {
			for _, p := range out.Removed {
				fmt.Fprintf(w, "removed %s: no record pointed to it\n", p)
			}
			for _, p := range out.Problems {
				fmt.Fprintln(w, p)
			}
			if len(out.Problems) == 0 {
				fmt.Fprintln(w, "no problem found")
			}
		})
		if err == nil && len(out.Problems) > 0 {
			err = fmt.Errorf("%d problems in %s", len(out.Problems), *data)
		}
		return err
	}
}

// checkStore checks a store, and the pages alone of a database that is too damaged to open.
func (e *env) checkStore(ctx context.Context, dir string, repair bool) (out checked, err error) {
	out.Problems = []string{}
	if c, ok := client.Of(ctx, dir); ok {
		if repair {
			return out, experiments.Errorf(experiments.CodeUnavailable, "--repair: the server at %s has %s open; stop it first", c.URL(), dir)
		}
		out.Problems, err = c.Problems(ctx)
		return out, err
	}
	st, err := store.Open(dir, store.Options{Logger: e.logger(slog.LevelError)})
	var damage *store.DamageError
	if errors.As(err, &damage) {
		for _, fault := range damage.Faults {
			out.Problems = append(out.Problems, "database "+fault.String())
		}
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if repair {
		if out.Removed, err = st.RemoveOrphans(ctx); err != nil {
			return out, err
		}
	}
	problems, err := st.Check(ctx)
	out.Problems = append(out.Problems, problems...)
	return out, err
}
