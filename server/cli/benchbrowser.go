package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/frontend"
	"triality/runtime/disk"
	"triality/server/api"
	"triality/server/store"
	"triality/server/trackerbench"
)

// setupBenchBrowser measures the pages. The browser is driven by Playwright under Node, as the browser tests are, so that
// both find the same elements; a browser driver in Go would be one more dependency for this command alone.
func setupBenchBrowser(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	o := trackerbench.Options{Progress: func(begins string) { fmt.Fprintln(e.stderr, begins) }}
	benchSizes(fl, &o)
	fl.IntVar(&o.Curves, "curves", 100_000, "points of each of 24 metrics of 10 runs")
	fl.StringVar(&o.Keep, "keep", "", "data `folder` that stays: made where it is not there, measured again where it is")
	script := fl.String("script", filepath.Join("frontend", "bench", "browser.mjs"), "the measurement, in a checkout of the repository whose frontend/node_modules are installed")
	return func(ctx context.Context, args []string) (err error) {
		node, err := exec.LookPath("node")
		if err != nil {
			return experiments.Errorf(experiments.CodeInvalid, "bench browser needs Node.js 20 or newer: %w", err)
		}
		if _, err := os.Stat(*script); err != nil {
			return experiments.Errorf(experiments.CodeInvalid, "bench browser runs in a checkout of the repository: %w; give --script", err)
		}
		dir := o.Keep
		if dir == "" {
			if dir, err = disk.MkdirTemp("", "triality-bench-*"); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, disk.RemoveAll(dir)) }()
		}
		made, err := trackerbench.Fill(ctx, dir, o)
		if err != nil {
			return err
		}
		st, err := store.Open(dir, store.Options{})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, st.Close()) }()
		if err := st.Index(ctx); err != nil {
			return err
		}
		site, err := fs.Sub(frontend.Dist, "dist")
		if err != nil {
			return err
		}
		server, err := api.New(api.Options{Store: st, Frontend: site, Info: api.Info{Version: Version}})
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		serving, stop := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- server.Serve(serving, l) }()
		defer func() { stop(); err = errors.Join(err, <-done) }()
		o.Progress("driving the browser")
		cmd := exec.CommandContext(ctx, node, *script, "http://"+l.Addr().String(), made.Many, made.Curves, made.Hundred)
		cmd.Stdout, cmd.Stderr = e.stdout, e.stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("bench browser: %s: %w", *script, err)
		}
		return nil
	}
}
