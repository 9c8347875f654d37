package cli

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/notebook"
	"triality/experiments/pipeline"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	pages "triality/server/report"
)

//go:embed notebook.md
var newNotebook string

func setupBookNew(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	from := fs.String("from", "", "`file` that it is made from: a pipeline YAML, a graph, or a report with a notebook in it; else a first notebook to fill in")
	title := fs.String("title", "", "its title (default: the file's name)")
	e.jsonFlag(fs)
	return func(_ context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("book new wants the file to make: triality book new book.md, or triality book new book.md --from configs/demo.yaml")
		}
		if _, err := disk.Stat(args[0]); !errors.Is(err, iofs.ErrNotExist) {
			if err == nil {
				err = experiments.Errorf(experiments.CodeConflict, "%s is there; name another file", args[0])
			}
			return err
		}
		name := *title
		if name == "" {
			name = strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0]))
		}
		text, err := notebookFrom(*from, name)
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(args[0], 0o644, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return err
		}
		return e.made(args[0])
	}
}

// notebookFrom is the text of a new notebook.
func notebookFrom(file, title string) ([]byte, error) {
	if file == "" {
		return []byte(strings.ReplaceAll(newNotebook, "TITLE", title)), nil
	}
	text, err := disk.ReadRegular(file, disk.MaxText)
	if err != nil {
		return nil, invalid(err)
	}
	head := strings.ToLower(string(text[:min(len(text), 512)]))
	switch {
	case strings.Contains(head, "<!doctype html") || strings.Contains(head, "<html"):
		_, book, ok := pages.Notebook(text)
		if !ok {
			return nil, invalid(fmt.Errorf("%s holds no notebook: `triality book render` writes reports that do", file))
		}
		return book, nil
	case notebook.Is(string(text)):
		return nil, invalid(fmt.Errorf("%s is a notebook already", file))
	case !graph.IsGraph(text):
		spec, err := pipeline.ParseSpec(file, text)
		if err != nil {
			return nil, err
		}
		if text, err = pipeline.GraphOf(spec.Pipeline); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	default:
		if _, err := pipeline.ParseSpec(file, text); err != nil {
			return nil, err
		}
	}
	out, err := notebook.OfGraph(title, file, text)
	if err != nil {
		return nil, err
	}
	// What is written is what was read, or nothing is written.
	if _, err := pipeline.ParseSpec(file, []byte(out)); err != nil {
		return nil, fmt.Errorf("%s as a notebook: %w", file, err)
	}
	return []byte(out), nil
}
