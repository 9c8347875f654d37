package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	flag "github.com/spf13/pflag"

	"triality/server/store"
)

// guidePath is the page that leads to the guided notebook, in the language of the browser.
const guidePath = "/guide"

const guideText = "begin here: %s%s, a notebook that leads through what was computed\n"

func setupDemo(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	s := serveFlags(fs)
	path := fs.String("config", "configs/demo.yaml", "pipeline `YAML`")
	return func(ctx context.Context, args []string) (err error) {
		o, err := e.open(ctx, *s.data)
		if err != nil {
			return err
		}
		if o.server != nil {
			err := e.runThrough(ctx, o.server, *path, "", nil)
			if err == nil {
				fmt.Fprintf(e.stdout, "\nthe server that runs already shows it: %s\n", o.server.URL())
				fmt.Fprintf(e.stdout, guideText, o.server.URL(), guidePath)
			}
			return err
		}
		st := o.store
		defer func() { err = errors.Join(err, st.Close()) }()
		if err := e.runPipeline(ctx, st, *path, "", nil, nil); err != nil {
			return err
		}
		fmt.Fprintln(e.stdout)
		if s.books, err = openBooks(*s.data, nil); err != nil {
			return err
		}
		if os.Getenv("CI") != "true" {
			return e.serve(ctx, st, s, func(ctx context.Context, url string) error {
				if s.books != nil {
					fmt.Fprintf(e.stdout, guideText, url, guidePath)
				}
				<-ctx.Done()
				return nil
			})
		}
		// Where nobody looks at the pages, checking that they answer is all there is to do.
		*s.addr = "127.0.0.1:0"
		return e.serve(ctx, st, s, func(ctx context.Context, url string) error { return e.checkPages(ctx, st, url, s.books != nil) })
	}
}

// checkPages fetches each page and the data behind it.
func (e *env) checkPages(ctx context.Context, st *store.Store, url string, guided bool) error {
	runs, _, err := st.Runs(ctx, store.RunFilter{Limit: 1})
	if err != nil {
		return err
	}
	paths := []string{"/", "/modules", "/api/v1/info", "/api/v1/experiments", "/api/v1/modules"}
	if guided {
		paths = append(paths, guidePath, "/api/v1/notebooks")
	}
	for _, r := range runs {
		paths = append(paths, "/runs/"+r.ID, "/runs/"+r.ID+"/abtest", "/api/v1/runs/"+r.ID, "/api/v1/runs/"+r.ID+"/abtest", "/api/v1/runs/"+r.ID+"/report")
	}
	client := http.Client{Timeout: 30 * time.Second}
	for _, p := range paths {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+p, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			return fmt.Errorf("check pages: %w", err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("check pages: %s answered %s", p, res.Status)
		}
	}
	fmt.Fprintf(e.stdout, "%d pages and API calls answer\n", len(paths))
	return nil
}
