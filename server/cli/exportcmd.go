package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"text/tabwriter"
	"time"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/runtime/gguf"
	"triality/runtime/modelfolder"
)

func setupModelExport(e *env, flags *flag.FlagSet) func(context.Context, []string) error {
	source := flags.String("model", "", "plain model `folder`, or its name on the Hub")
	output := flags.String("output", "", "`file` to make, .gguf")
	kind := flags.String("type", "f16", "how matrices are stored: f16, q8_0 or f32; vectors are f32")
	name := flags.String("name", "", "the model's name in the file (default: the folder's)")
	e.unknownFlag(flags)
	e.jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"model": *source, "output": *output}); err != nil {
			return err
		}
		t, err := gguf.ParseType(*kind)
		if err != nil {
			return usagef("%v", err)
		}
		dir, err := e.modelFolder(ctx, *source)
		if err != nil {
			return err
		}
		if *name == "" && dir != *source { // a cached folder has a commit's name
			repo, _, _ := strings.Cut(*source, "@")
			*name = path.Base(repo)
		}
		progress, done := e.elements("export")
		r, err := gguf.Export(ctx, dir, *output, gguf.Options{Type: t, Name: *name, Config: e.modelConfig(), Progress: progress})
		done()
		if err != nil {
			return invalid(err)
		}
		for _, note := range r.Notes {
			fmt.Fprintf(e.stderr, "note: %s\n", note)
		}
		if len(r.Fallback) > 0 {
			fmt.Fprintf(e.stderr, "note: %d matrices are stored as f16: their rows are not in blocks of 32 (%s)\n", len(r.Fallback), shortened(r.Fallback))
		}
		out := struct {
			Output       string `json:"output"`
			Architecture string `json:"architecture"`
			Name         string `json:"name"`
			Tensors      int    `json:"tensors"`
			Bytes        int64  `json:"bytes"`
		}{*output, r.Architecture, r.Name, r.Tensors, r.Bytes}
		return e.result(out, func(w io.Writer) {
			fmt.Fprintf(w, "%s\n  architecture  %s\n  name          %s\n  tensors       %d\n  size          %.1f MB\n", out.Output, out.Architecture, out.Name, out.Tensors, float64(out.Bytes)/1e6)
		})
	}
}

func setupModelConvert(e *env, flags *flag.FlagSet) func(context.Context, []string) error {
	source := flags.String("model", "", "plain model `folder`, or its name on the Hub")
	output := flags.String("output", "", "`folder` to make")
	kind := flags.String("dtype", "", "how weights are stored: float32, float16 or bfloat16")
	e.unknownFlag(flags)
	e.jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"model": *source, "output": *output, "dtype": *kind}); err != nil {
			return err
		}
		t, err := modelfolder.ParseType(*kind)
		if err != nil {
			return usagef("%v", err)
		}
		dir, err := e.modelFolder(ctx, *source)
		if err != nil {
			return err
		}
		progress, done := e.elements("convert")
		err = modelfolder.Convert(ctx, dir, *output, modelfolder.ConvertOptions{DType: t, Config: e.modelConfig(), Progress: progress})
		done()
		if err != nil {
			return invalid(err)
		}
		return e.made(*output)
	}
}

func setupModelVerify(e *env, flags *flag.FlagSet) func(context.Context, []string) error {
	e.unknownFlag(flags)
	e.jsonFlag(flags)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("model verify wants one model folder or .gguf file")
		}
		info, err := os.Stat(args[0])
		if errors.Is(err, fs.ErrNotExist) {
			return experiments.Errorf(experiments.CodeNotFound, "%s: there is no such folder or file", args[0])
		}
		if err != nil {
			return err
		}
		var checks []modelfolder.Check
		if info.IsDir() {
			checks = modelfolder.Verify(ctx, args[0], e.modelConfig()...)
		} else {
			checks = modelfolder.VerifyGGUF(ctx, args[0])
		}
		if err := e.result(verified(checks), func(w io.Writer) { printChecks(w, checks) }); err != nil {
			return err
		}
		failed := 0
		for _, c := range checks {
			if c.Err != nil {
				failed++
				fmt.Fprintf(e.stderr, "%s: %v\n", c.Name, c.Err)
			}
		}
		if failed > 0 {
			return fmt.Errorf("%s: %d of %d checks failed", args[0], failed, len(checks))
		}
		return nil
	}
}

// verdict is one check of a model as JSON.
type verdict struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	Error  string `json:"error,omitempty"`
}

func verified(checks []modelfolder.Check) []verdict {
	out := make([]verdict, len(checks))
	for i, c := range checks {
		out[i] = verdict{Name: c.Name, OK: c.Err == nil, Detail: c.Detail}
		if c.Err != nil {
			out[i].Error = c.Err.Error()
		}
	}
	return out
}

func printChecks(w io.Writer, checks []modelfolder.Check) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer table.Flush()
	for _, c := range checks {
		result := "ok"
		if c.Err != nil {
			result = "FAILED"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.Name, result, c.Detail)
	}
}

// elements shows progress in elements of weights; done clears it away.
func (e *env) elements(kind string) (progress func(done, total int64), done func()) {
	screen, start := newTerminal(e.stderr), time.Now()
	screen.last = start
	return func(n, total int64) {
		screen.Progress(kind, experiments.Progress{Done: n, Total: total, Unit: "values", Rate: float64(n) / time.Since(start).Seconds()})
	}, screen.clear
}

// shortened lists the first of names.
func shortened(names []string) string {
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
