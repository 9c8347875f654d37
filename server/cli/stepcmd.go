package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/experiments/kinds/convert"
	"triality/experiments/pipeline"
	"triality/frontend"
	"triality/server/api"
	"triality/server/report"
)

func stepCommands() []command {
	return []command{
		{"convert", "", "four-class JSONL to a Hugging Face dataset", setupConvert},
		{"finetune", "", "LoRA fine-tuning of a Hugging Face model", setupFinetune},
		{"replace", "", "a Hugging Face model to an SO8T model", setupReplace},
		{"abtest", "", "two models on the same rows", setupABTest},
		{"abtest power", "", "the rows that a difference takes, and the smallest that rows show", setupPower},
		{"report", "RUN", "the report of a recorded run as one HTML file", setupReport},
	}
}

// optionalConfig reads a pipeline YAML, or the defaults where none is named. Sections that the command
// does not use need not be filled.
func optionalConfig(path string, overrides ...string) (config.Pipeline, error) {
	if path == "" {
		return config.Parse("defaults", nil, overrides...)
	}
	return config.Load(path, overrides...)
}

// fill are values for the keys that one step alone does not use, so that the configuration's own
// checks hold.
func fill(input, base string) []string {
	return []string{"data.input_path=" + quote(input), "model.base_model=" + quote(base)}
}

func quote(s string) string { return fmt.Sprintf("%q", s) }

// withEngine opens the engine for one step; device, where not empty, wins over the configuration's.
func (e *env) withEngine(cfg config.Pipeline, device string, kind string, do func(*pipeline.Engine, stepSink) error) error {
	cfg.Device = or(device, cfg.Device)
	cfg.Model.AllowUnknownConfig = cfg.Model.AllowUnknownConfig || e.allowUnknown
	engine, closeEngine, err := openEngine(cfg, nil, 1, cfg.Training.Devices, e.logger(slog.LevelWarn))
	if err != nil {
		return err
	}
	sink := stepSink{terminal: newTerminal(e.stderr), kind: kind, notes: &e.notes}
	for _, n := range engine.Notes {
		sink.Note(n)
	}
	err = do(engine, sink)
	sink.clear()
	return errors.Join(err, closeEngine())
}

func setupConvert(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	d := config.Default()
	input := fs.String("input", "", "a .jsonl `file`, a folder of four_class_*.jsonl, or a glob pattern")
	output := fs.String("output", "", "`folder` that gets dataset/ and summary.json")
	base := fs.String("base-model", "", "model whose tokenizer is used: a `folder`, or org/name@revision of the Hub")
	format := fs.String("format", d.Data.FormatType, "instruction, chat or completion")
	length := fs.Int("max-length", d.Data.MaxLength, "longest row in tokens")
	seed := fs.Uint64("seed", d.Seed, "seed of the split")
	strict := fs.Bool("strict", false, "refuse a file with a bad line instead of skipping the line")
	policy := fs.String("audit", "", "data of persons and secrets: off, warn, redact or refuse, as data.audit")
	noSplit := fs.Bool("no-split", false, "put every row into train")
	noTokenize := fs.Bool("no-tokenize", false, "write the text only; no tokenizer is needed")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"input": *input, "output": *output}); err != nil {
			return err
		}
		if (*base == "") != *noTokenize {
			return usagef("give either --base-model, whose tokenizer is used, or --no-tokenize")
		}
		if !slices.Contains([]string{"", dataset.AuditOff, dataset.AuditWarn, dataset.AuditRedact, dataset.AuditRefuse}, *policy) {
			return usagef("--audit is %q, want off, warn, redact or refuse", *policy)
		}
		o := pipeline.ConvertOptions{BaseModel: *base, OutDir: *output, Options: dataset.Options{
			InputPath: *input, Format: *format, MaxLength: *length, ValRatio: d.Data.ValRatio, TestRatio: d.Data.TestRatio,
			Seed: *seed, Strict: *strict, NoSplit: *noSplit, Audit: *policy,
		}}
		engine := &pipeline.Engine{}
		sink := stepSink{terminal: newTerminal(e.stderr), kind: "convert", notes: &e.notes}
		if err := engine.Convert(ctx, o, sink); err != nil {
			return err
		}
		made := converted{outputs: outputs{[]string{filepath.Join(*output, "dataset")}, e.notes}}
		if err := graph.ReadJSON(filepath.Join(*output, convert.SummaryName), &made.Summary); err != nil {
			return err
		}
		return e.result(made, func(w io.Writer) { fmt.Fprintln(w, made.Outputs[0]) })
	}
}

// converted is what convert --json prints.
type converted struct {
	outputs
	Summary experiments.DatasetSummary `json:"summary"`
}

func setupFinetune(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	base := fs.String("base-model", "", "model in Hugging Face form: a `folder`, or org/name@revision of the Hub")
	data := fs.String("dataset", "", "dataset `folder` that convert wrote")
	output := fs.String("output", "", "`folder` that gets adapter/, merged/ and checkpoints/")
	cfgPath := fs.String("config", "", "pipeline `YAML`; its training section and data.max_length are used")
	device := fs.String("device", "", "auto, cpu or cuda (default: the configuration's)")
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"base-model": *base, "dataset": *data, "output": *output}); err != nil {
			return err
		}
		cfg, err := optionalConfig(*cfgPath, fill(*data, *base)...)
		if err != nil {
			return err
		}
		return e.withEngine(cfg, *device, "finetune", func(engine *pipeline.Engine, sink stepSink) error {
			var err error
			if engine.Device, err = engine.Devices.Get(0, cfg.Training.TF32, cfg.Training.Devices); err != nil {
				return err
			}
			err = engine.Finetune(ctx, pipeline.FinetuneOptions{BaseModel: *base, Dataset: *data, OutDir: *output, Training: cfg.Training, MaxLength: cfg.Data.MaxLength, Seed: cfg.Seeds().Train}, sink)
			if err != nil {
				return err
			}
			var paths []string
			for _, name := range pipeline.FinetuneOutputs(cfg.Training) {
				paths = append(paths, filepath.Join(*output, name))
			}
			return e.made(paths...)
		})
	}
}

func setupReplace(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	source := fs.String("finetuned-model", "", "model `folder` in Hugging Face form, such as finetune's merged/")
	output := fs.String("output", "", "`folder` that gets model/")
	data := fs.String("dataset", "", "dataset `folder` that trains rotations and heads; without it the identity is kept")
	cfgPath := fs.String("so8t-config", "", "pipeline `YAML`; its so8t section and data.max_length are used")
	device := fs.String("device", "", "auto, cpu or cuda (default: the configuration's)")
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"finetuned-model": *source, "output": *output}); err != nil {
			return err
		}
		cfg, err := optionalConfig(*cfgPath, fill(or(*data, "none"), *source)...)
		if err != nil {
			return err
		}
		return e.withEngine(cfg, *device, "replace", func(engine *pipeline.Engine, sink stepSink) error {
			err := engine.Replace(ctx, pipeline.ReplaceOptions{Model: *source, Dataset: *data, OutDir: *output, SO8T: cfg.SO8T, MaxLength: cfg.Data.MaxLength, Seed: cfg.Seeds().Train}, sink)
			if err != nil {
				return err
			}
			return e.made(filepath.Join(*output, "model"))
		})
	}
}

func setupABTest(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	a := fs.String("model-a", "", "model A, plain or SO8T: a `folder`, or org/name@revision of the Hub")
	b := fs.String("model-b", "", "model B, likewise: a `folder`, or a name of the Hub")
	data := fs.String("test-data", "", "a .jsonl `file`, or a dataset folder, whose test split is used")
	train := fs.String("train-data", "", "what the models were trained on, to check that the test rows are not in it and for the floors: a dataset `folder`, whose train split is used, or a .jsonl file (default: --test-data's own train split)")
	output := fs.String("output-dir", "", "`folder` that gets results.json")
	cfgPath := fs.String("config", "", "pipeline `YAML`; its data and test sections are used")
	device := fs.String("device", "", "auto, cpu or cuda (default: the configuration's)")
	maxNew := fs.Int("generate-max-new-tokens", 0, "tokens of the text that both models write on every row, for metrics that compare texts (default: the configuration's)")
	temperature := fs.Float64("generate-temperature", 0, "how far those texts stray from the likeliest token (default: the configuration's)")
	e.gateFlag(fs)
	metrics := fs.String("metrics", "", "WebAssembly metric `files`, separated by commas, besides the configuration's")
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"model-a": *a, "model-b": *b, "test-data": *data, "output-dir": *output}); err != nil {
			return err
		}
		cfg, err := optionalConfig(*cfgPath, fill(*data, *a)...)
		if err != nil {
			return err
		}
		for path := range strings.SplitSeq(*metrics, ",") {
			if path != "" {
				cfg.Test.Metrics = append(cfg.Test.Metrics, config.Metric{Module: path})
			}
		}
		if cfg.Test.Generate, err = texts(cfg.Test.Generate, *maxNew, *temperature); err != nil {
			return err
		}
		o := pipeline.ABTestOptions{ModelA: *a, ModelB: *b, TestData: *data, TrainData: *train, Strict: cfg.Data.Strict, OutDir: *output,
			Format: cfg.Data.FormatType, MaxLength: cfg.Data.MaxLength, Test: cfg.Test, Seed: cfg.Seeds().Eval}
		for _, m := range cfg.Test.Metrics {
			module, err := pipeline.ReadModule(m.Module, m.Params, m.Timeout.Duration())
			if err != nil {
				return err
			}
			module.Slices = m.Slices
			o.Modules = append(o.Modules, module)
		}
		return e.withEngine(cfg, *device, "abtest", func(engine *pipeline.Engine, sink stepSink) error {
			result, err := engine.ABTest(ctx, o, sink)
			if err != nil {
				return err
			}
			sink.clear()
			err = e.result(result, func(w io.Writer) {
				printABResult(w, result)
				fmt.Fprintf(w, "\n%s\n", filepath.Join(*output, "results.json"))
			})
			return errors.Join(err, e.gate(result))
		})
	}
}

// texts puts the flags over what the configuration says of an A/B test's texts.
func texts(g config.Generate, maxNew int, temperature float64) (config.Generate, error) {
	if maxNew != 0 {
		g.MaxNewTokens = maxNew
	}
	if temperature != 0 {
		g.Temperature = temperature
	}
	switch {
	case g.MaxNewTokens < 0 || !(g.Temperature >= 0):
		return g, usagef("--generate-max-new-tokens and --generate-temperature must be at least 0")
	case g.IsZero() && g.Temperature != 0:
		return g, usagef("--generate-temperature needs --generate-max-new-tokens")
	}
	return g, nil
}

func setupReport(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	data := dataFlag(fs)
	output := fs.String("output", "report.html", "`file` to write")
	language := fs.String("language", "en", "en or ja")
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("report wants one run id; the run page and `triality run` show it")
		}
		o, err := e.open(ctx, *data)
		if err != nil {
			return err
		}
		defer o.Close()
		if o.server != nil {
			return e.writeReport(ctx, o.server, args[0], *language, *output)
		}
		reporter := report.New(report.Assets{EChartsJS: frontend.ReportECharts()})
		in, err := api.ReportInput(ctx, o.store, args[0])
		if err != nil {
			return err
		}
		in.Language = *language
		if err := pipeline.WriteReport(ctx, reporter, in, *output); err != nil {
			return err
		}
		return e.made(*output)
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
