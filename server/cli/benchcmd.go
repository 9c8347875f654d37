package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/inference/inferencebench"
	"triality/runtime/disk"
	"triality/runtime/enginebench"
	"triality/runtime/sandbox/metricbench"
	"triality/runtime/tokenizer/tokenbench"
)

func benchCommands() []command {
	return []command{
		{"bench metric", "LANGUAGE=FILE...", "metric modules against the same metrics in native Go, as JSON", setupBenchMetric},
		{"bench finetune", "", "LoRA training of a large model with random weights, beside transformers and peft, as JSON", setupBenchFinetune},
		{"bench gpu", "", "the table of fine-tuning on one NVIDIA card, beside transformers and peft, as JSON", setupBenchGPU},
		{"bench engine", "", "training against PyTorch and matrix products against OpenBLAS on the processor, as JSON", setupBenchEngine},
		{"bench inference", "", "the A/B test's intervals, tests and early stopping by simulation, as JSON", setupBenchInference},
		{"bench tokenizer", "", "a tokenizer's ids and speed against Hugging Face tokenizers, as JSON", setupBenchTokenizer},
		{"bench tracker", "", "pages of searches over many runs, thousands of columns, long curves, memory and start, as JSON", setupBenchTracker},
		{"bench browser", "", "the web interface over many runs in headless Chromium, in a checkout with Node.js, as JSON", setupBenchBrowser},
	}
}

// shippedBench are the modules measured where none are named; one that was not built is left out.
var shippedBench = []struct{ language, file string }{
	{"c", "brier_c.wasm"}, {"assemblyscript", "brier.wasm"}, {"go", "calibration.wasm"},
}

func setupBenchMetric(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	rows := fl.Int("rows", 1_000_000, "rows of the large table; two arms")
	dist := fl.String("dist", filepath.Join("wasm-metrics", "dist"), "`folder` of the shipped modules")
	return func(ctx context.Context, args []string) error {
		if *rows < 1 {
			return usagef("--rows must be at least 1")
		}
		modules, err := benchModules(args, *dist)
		if err != nil {
			return err
		}
		report, err := metricbench.Run(ctx, metricbench.Options{Rows: *rows}, modules...)
		if err != nil {
			return invalid(err)
		}
		return printJSON(e.stdout, report)
	}
}

func setupBenchEngine(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	threads := fl.Int("threads", 0, "threads of both sides; 0 is all cores")
	rounds := fl.Int("rounds", 8, "turns of two training steps that each side takes")
	repeat := fl.Int("repeat", 6, "turns that each side takes at a matrix product")
	sizes := fl.String("sizes", "256,512,1024,2048,4096", "rows of the square matrices; empty for none")
	python := fl.String("python", "", "`interpreter` that has PyTorch (default: /usr/bin/python3, then python3)")
	return func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			return usagef("bench engine wants no arguments, have %q", args)
		}
		if *threads < 0 || *rounds < 1 || *repeat < 1 {
			return usagef("--threads must not be negative, --rounds and --repeat must be at least 1")
		}
		o := enginebench.Options{Threads: *threads, Rounds: *rounds, Repeat: *repeat, Sizes: []int{}}
		o.Progress = func(begins string) { fmt.Fprintln(e.stderr, begins) }
		for _, s := range strings.FieldsFunc(*sizes, func(r rune) bool { return r == ',' }) {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 || n > 1<<14 {
				return usagef("--sizes wants numbers from 1 to 16384 with commas between, have %q", *sizes)
			}
			o.Sizes = append(o.Sizes, n)
		}
		if *python != "" {
			o.Python = []string{*python}
		}
		report, err := enginebench.Run(ctx, o)
		if err != nil {
			return err
		}
		for _, m := range report.Missing {
			fmt.Fprintf(e.stderr, "measured without this peer: %s\n", m)
		}
		return printJSON(e.stdout, report)
	}
}

func setupBenchInference(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	simulations := fl.Int("simulations", 400, "comparisons drawn for each figure; those with many rows are drawn less often. 20000 gives the figures of docs/verdict.md")
	seed := fl.Uint64("seed", 1, "of the comparisons")
	threads := fl.Int("threads", 0, "threads; 0 is all cores. The figures do not depend on it")
	only := fl.String("only", "", "seeds: the intervals of arms that were trained several times, alone")
	return func(ctx context.Context, args []string) error {
		if *only != "" && *only != inferencebench.PartSeeds {
			return usagef("--only wants %s, have %q", inferencebench.PartSeeds, *only)
		}
		if *simulations < 10 || *simulations > 10_000_000 || *threads < 0 {
			return usagef("--simulations must be at least 10 and at most 10000000, --threads must not be negative")
		}
		report, err := inferencebench.Run(ctx, inferencebench.Options{Simulations: *simulations, Seed: *seed, Threads: *threads, Only: *only,
			Progress: func(begins string) { fmt.Fprintln(e.stderr, begins) }})
		if err != nil {
			return err
		}
		return printJSON(e.stdout, report)
	}
}

func setupBenchTokenizer(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	path := fl.String("tokenizer", "", "`folder` with a tokenizer.json, or that file")
	megabytes := fl.Int("megabytes", 5, "of mixed text, made from the seed; not with --text")
	seed := fl.Uint64("seed", 1, "of the mixed text")
	rounds := fl.Int("rounds", 5, "turns of each side")
	peer := fl.String("peer", "", "`folder` whose node_modules has, or gets, the npm package tokenizers; without it ours is measured alone")
	var files settings
	fl.Var(&files, "text", "text `file` instead of the mixed text; may be given several times")
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"tokenizer": *path}); err != nil {
			return err
		}
		if len(args) > 0 || *rounds < 1 || *megabytes < 1 || *megabytes > 1000 {
			return usagef("bench tokenizer wants --rounds of at least 1, --megabytes from 1 to 1000, and no arguments")
		}
		o := tokenbench.Options{Tokenizer: *path, Rounds: *rounds, Peer: *peer}
		o.Progress = func(begins string) { fmt.Fprintln(e.stderr, begins) }
		for _, f := range files {
			raw, err := disk.ReadRegular(f, disk.MaxText)
			if err != nil {
				return invalid(err)
			}
			o.Documents = append(o.Documents, documents(strings.ToValidUTF8(string(raw), "\ufffd"))...)
		}
		if len(files) == 0 {
			o.Documents = tokenbench.Text(*seed, *megabytes*1_000_000)
		}
		report, err := tokenbench.Run(ctx, o)
		if err != nil {
			return invalid(err)
		}
		if err := printJSON(e.stdout, report); err != nil {
			return err
		}
		if report.Peer != nil && report.Peer.Differences > 0 {
			return fmt.Errorf("%d documents differ from the peer's: %s", report.Peer.Differences, report.Peer.First)
		}
		return nil
	}
}

// documents cuts a file behind the lines that end its pieces of four kilobytes.
func documents(text string) []string {
	const least = 4096
	var out []string
	for len(text) > least {
		n := strings.IndexByte(text[least:], '\n')
		if n < 0 {
			break
		}
		out = append(out, text[:least+n+1])
		text = text[least+n+1:]
	}
	if text != "" {
		out = append(out, text)
	}
	return out
}

func benchModules(args []string, dist string) ([]metricbench.Module, error) {
	var out []metricbench.Module
	for _, a := range args {
		language, file, ok := strings.Cut(a, "=")
		if !ok {
			return nil, usagef("want LANGUAGE=FILE, such as go=my_metric.wasm, have %q", a)
		}
		wasm, err := disk.ReadRegular(file, disk.MaxText)
		if err != nil {
			return nil, invalid(err)
		}
		out = append(out, metricbench.Module{Language: language, Wasm: wasm})
	}
	if len(args) > 0 {
		return out, nil
	}
	for _, s := range shippedBench {
		wasm, err := disk.ReadRegular(filepath.Join(dist, s.file), disk.MaxText)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, invalid(err)
		}
		out = append(out, metricbench.Module{Language: s.language, Wasm: wasm})
	}
	if len(out) == 0 {
		return nil, experiments.Errorf(experiments.CodeNotFound, "%s: no built metric; `task metrics` builds them", dist)
	}
	return out, nil
}
