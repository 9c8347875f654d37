package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments/kinds"
	"triality/experiments/notebook"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/printable"
)

func bookCommands() []command {
	return []command{
		{"book new", "FILE", "make a notebook: a first one, or from a pipeline, a graph or a report", setupBookNew},
		{"book check", "FILE", "find the mistakes of a notebook: fences, names, keys, references", setupBookCheck},
		{"book render", "FILE", "write the report of a notebook's results, with its text inside", setupBookRender},
		{"book diff", "BEFORE AFTER", "say what differs between two notebooks, and which results become stale", setupBookDiff},
		{"book export", "FILE", "write a notebook's cells as the YAML of a graph", setupBookExport},
	}
}

// openBook reads the one notebook that a command wants.
func openBook(command string, args []string) (*notebook.Document, error) {
	if len(args) != 1 {
		return nil, usagef("%s wants one notebook: triality %s configs/notebooks/first.md", command, command)
	}
	text, err := disk.ReadRegular(args[0], disk.MaxText)
	if err != nil {
		return nil, invalid(err)
	}
	return notebook.Parse(args[0], string(text)), nil
}

// checkedBook is what book check prints.
type checkedBook struct {
	File     string             `json:"file"`
	Title    string             `json:"title"`
	Cells    []checkedCell      `json:"cells"`
	Problems []notebook.Problem `json:"problems"`
}

type checkedCell struct {
	ID   string `json:"id"`
	Kind string `json:"kind"`
	Line int    `json:"line"`
}

func setupBookCheck(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	e.jsonFlag(fs)
	return func(_ context.Context, args []string) error {
		d, err := openBook("book check", args)
		if err != nil {
			return err
		}
		out := checkedBook{File: d.File, Title: d.Title(), Cells: []checkedCell{}, Problems: d.Check(kinds.All(nil))}
		for _, b := range d.Cells() {
			out.Cells = append(out.Cells, checkedCell{b.Cell.ID, b.Cell.Kind, b.Line})
		}
		if len(out.Cells) == 0 {
			out.Problems = append(out.Problems, notebook.Problem{Line: 1, Text: `there is no cell: a fenced block whose first line is "triality KIND id=NAME"`})
		}
		err = e.result(out, func(w io.Writer) {
			for _, p := range out.Problems {
				fmt.Fprintf(w, "%s, %s\n", d.File, printable.Line(p.String()))
			}
			if len(out.Problems) == 0 {
				var names []string
				for _, c := range out.Cells {
					names = append(names, c.ID)
				}
				fmt.Fprintf(w, "%s: %s: ok\n", d.File, strings.Join(names, ", "))
			}
		})
		if n := len(out.Problems); err == nil && n > 0 {
			return invalid(fmt.Errorf("%s has mistakes: %d", d.File, n))
		}
		return err
	}
}

func setupBookExport(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	output := fs.String("output", "", "`file` to write")
	e.jsonFlag(fs)
	return func(_ context.Context, args []string) error {
		if *output == "" {
			return usagef("book export wants --output FILE")
		}
		d, err := openBook("book export", args)
		if err != nil {
			return err
		}
		if _, err := d.Graph(kinds.All(nil)); err != nil {
			return err
		}
		text, err := d.YAML()
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(*output, 0o644, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return err
		}
		return e.made(*output)
	}
}
