package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/notebook"
	"triality/experiments/pipeline"
	"triality/frontend"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/server/api"
	"triality/server/client"
	pages "triality/server/report"
	"triality/server/store"
)

func setupBookRender(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	output := fs.String("output", "report.html", "`file` to write")
	language := fs.String("language", "en", "en or ja")
	share := sharedFlags(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("book render wants one notebook: triality book render configs/notebooks/first.md --output report.html")
		}
		if pagesErr := pages.New(pages.Assets{EChartsJS: frontend.ReportECharts()}).Check(); pagesErr != nil {
			return pagesErr
		}
		text, err := disk.ReadRegular(args[0], disk.MaxText)
		if err != nil {
			return invalid(err)
		}
		if !notebook.Is(string(text)) {
			return invalid(fmt.Errorf("%s is no notebook: it has no cell", args[0]))
		}
		spec, err := pipeline.ParseSpec(args[0], text)
		if err != nil {
			return err
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		var page []byte
		results, err := share.open(ctx, e.logger(slog.LevelWarn))
		if err == nil {
			page, err = e.renderBook(ctx, o, spec, results, *language)
		}
		if err == nil {
			page, err = pages.WithNotebook(page, *language, filepath.Base(args[0]), text)
		}
		if err == nil {
			err = atomicfile.WriteFile(*output, 0o644, func(w io.Writer) error { _, err := w.Write(page); return err })
		}
		if err := errors.Join(err, o.Close()); err != nil {
			return err
		}
		return e.made(*output)
	}
}

// renderBook is the report of the run that has all of a notebook's results. Nothing is computed for it.
func (e *env) renderBook(ctx context.Context, o owner, spec pipeline.Spec, results graph.Shared, language string) ([]byte, error) {
	screen := newTerminal(e.stderr)
	if o.server != nil {
		return e.renderThrough(ctx, o.server, spec, language)
	}
	steps, err := planHere(ctx, o.store, spec, results, screen, e.logger(slog.LevelWarn))
	screen.clear()
	if err == nil {
		err = unfinished(steps)
	}
	if err != nil {
		return nil, err
	}
	run, err := e.takenOver(ctx, o.store, spec, results)
	if err != nil {
		return nil, err
	}
	in, err := api.ReportInput(ctx, o.store, run.ID)
	if err != nil {
		return nil, err
	}
	in.Language = language
	var page bytes.Buffer
	err = pages.New(pages.Assets{EChartsJS: frontend.ReportECharts()}).Render(ctx, in, &page)
	return page.Bytes(), err
}

// unfinished refuses a plan of which something is left to do.
func unfinished(steps []pipeline.PlannedStep) error {
	var open []string
	for _, s := range steps {
		if !s.TakenOver {
			open = append(open, s.Name)
		}
	}
	if len(open) > 0 {
		return experiments.Errorf(experiments.CodeInvalid, "cells without a result: %s; `triality run` the notebook first", strings.Join(open, ", "))
	}
	return nil
}

// takenOver is the run that made every step of a spec, or a new one that takes all of them over.
func (e *env) takenOver(ctx context.Context, st *store.Store, spec pipeline.Spec, results graph.Shared) (run experiments.Run, err error) {
	runner, closeRunner, err := openRunner(st, spec, nil, e.logger(slog.LevelWarn))
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, closeRunner()) }()
	runner.Shared = results
	run, _, err = runner.RunSpec(ctx, spec, pipeline.RunOptions{})
	return run, err
}

func (e *env) renderThrough(ctx context.Context, c *client.Client, spec pipeline.Spec, language string) ([]byte, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	steps, err := c.Plan(ctx, spec.Text, dir)
	if err == nil {
		err = unfinished(steps)
	}
	if err != nil {
		return nil, err
	}
	run, err := c.Submit(ctx, spec.Text, "", dir)
	if err != nil {
		return nil, err
	}
	screen := &following{terminal: newTerminal(e.stderr), steps: map[string]experiments.Status{}}
	run, err = c.Follow(ctx, run.ID, screen)
	screen.clear()
	if err == nil && run.Status != experiments.Finished {
		err = experiments.Errorf(experiments.CodeInvalid, "%s", run.Error)
	}
	if err != nil {
		return nil, err
	}
	return c.Report(ctx, run.ID, language)
}
