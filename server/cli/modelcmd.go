package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline"
	"triality/runtime/hub"
	"triality/runtime/model"
	"triality/runtime/so8t"
	"triality/runtime/tokenizer"
)

func modelCommands() []command {
	return []command{
		{"model init", "", "a model with fresh weights and a tokenizer, in Hugging Face form", setupModelInit},
		{"model info", "DIR", "what a model folder holds", setupModelInfo},
		{"model merge", "", "a PEFT adapter folded into its base model", setupModelMerge},
		{"model burn-in", "", "an SO8T model as a plain Hugging Face model with the same function", setupBurnIn},
		{"model export", "", "a model as one GGUF file, for llama.cpp and the tools around it", setupModelExport},
		{"model convert", "", "a model with its weights stored as another type", setupModelConvert},
		{"model verify", "DIR|FILE", "every tensor, value and token of a model folder or GGUF file checked", setupModelVerify},
		{"pretrain", "", "train every weight of a model on text", setupPretrain},
		{"generate", "PROMPT", "continue a prompt, or answer in a chat", setupGenerate},
	}
}

func setupModelInit(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	d := config.Default().Model.Create
	var shapes []string
	for _, s := range model.Shapes() {
		shapes = append(shapes, fmt.Sprintf("%s (hidden %d, %d layers)", s.Name, s.Hidden, s.Layers))
	}
	output := fs.String("output", "", "`folder` to make")
	shape := fs.String("shape", "tiny", strings.Join(shapes, ", "))
	family := fs.String("family", "llama", strings.Join(model.Families(), ", "))
	vocab := fs.Int("vocab-size", d.VocabSize, "entries of the tokenizer")
	text := fs.String("text", "", ".txt or .jsonl `file` that the tokenizer is trained on")
	like := fs.String("like", "", "instead: configuration and tokenizer of a `model`, a folder or a name on the Hub, of which no weights are read")
	seed := fs.Uint64("seed", config.Default().Seed, "seed of the weights")
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if *like != "" {
			return e.initLike(ctx, fs, *like, *output, *seed)
		}
		if err := need(map[string]string{"output": *output, "text": *text}); err != nil {
			return err
		}
		docs, err := pipeline.PretrainText(ctx, *text, "instruction", false, stepSink{terminal: newTerminal(e.stderr), kind: "base"})
		if err != nil {
			return err
		}
		if err := pipeline.InitModel(*output, *family, *shape, *vocab, docs, *seed); err != nil {
			return err
		}
		return e.describeModel(*output)
	}
}

func (e *env) initLike(ctx context.Context, fs *flag.FlagSet, like, output string, seed uint64) error {
	var excess []string
	fs.Visit(func(f *flag.Flag) {
		if slices.Contains([]string{"shape", "family", "vocab-size", "text"}, f.Name) {
			excess = append(excess, "--"+f.Name)
		}
	})
	if len(excess) > 0 {
		return usagef("--like says what %s would", strings.Join(excess, ", "))
	}
	if err := need(map[string]string{"output": output}); err != nil {
		return err
	}
	dir, err := e.locate(ctx, like, hub.TokenizerFiles)
	if err != nil {
		return err
	}
	if err := pipeline.InitLike(ctx, output, dir, seed, e.modelConfig()...); err != nil {
		return err
	}
	return e.describeModel(output)
}

func setupModelInfo(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return usagef("model info wants one model folder")
		}
		dir, err := e.modelFolder(ctx, args[0])
		if err != nil {
			return err
		}
		return e.describeModel(dir)
	}
}

func (e *env) describeModel(dir string) error {
	isSO8T, err := so8t.IsModel(dir)
	if err != nil {
		return invalid(err)
	}
	var cfg model.Config
	var elements int
	kind := ""
	if isSO8T {
		m, err := so8t.Load(dir, e.modelConfig()...)
		if err != nil {
			return invalid(err)
		}
		defer m.Close()
		cfg, elements, kind = m.Source, model.Elements(m.Base), "so8t over "
	} else {
		if cfg, err = model.LoadConfig(dir, e.modelConfig()...); err != nil {
			return invalid(err)
		}
		weights, err := model.OpenFolder(dir, cfg)
		if err != nil {
			return invalid(err)
		}
		defer weights.Close()
		elements = model.Elements(weights)
	}
	out := modelInfo{
		Folder: dir, Family: kind + cfg.ModelType, Parameters: elements, Layers: cfg.Layers, Hidden: cfg.HiddenSize, FeedForward: cfg.IntermediateSize,
		Heads: cfg.Heads, HeadDim: cfg.HeadDim, KVHeads: cfg.KVHeads, Vocabulary: cfg.VocabSize, Positions: cfg.MaxPositions,
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		out.TokenizerError = err.Error()
	} else {
		out.Tokens, out.TokenizerSHA256 = tok.Size(), tok.Hash()
	}
	return e.result(out, out.print)
}

// modelInfo is what a model folder holds.
type modelInfo struct {
	Folder          string `json:"folder"`
	Family          string `json:"family"` // "so8t over llama" for an SO8T model
	Parameters      int    `json:"parameters"`
	Layers          int    `json:"layers"`
	Hidden          int    `json:"hidden_size"`
	FeedForward     int    `json:"intermediate_size"`
	Heads           int    `json:"attention_heads"`
	HeadDim         int    `json:"head_dim"`
	KVHeads         int    `json:"key_value_heads"`
	Vocabulary      int    `json:"vocab_size"`
	Positions       int    `json:"max_position_embeddings"`
	Tokens          int    `json:"tokenizer_entries,omitempty"`
	TokenizerSHA256 string `json:"tokenizer_sha256,omitempty"`
	TokenizerError  string `json:"tokenizer_error,omitempty"` // why no tokenizer loads
}

func (m modelInfo) print(w io.Writer) {
	fmt.Fprintf(w, "%s\n  family      %s\n  parameters  %d\n  layers      %d, hidden %d, feed-forward %d\n  heads       %d of %d, %d for keys and values\n  vocabulary  %d, positions %d\n",
		m.Folder, m.Family, m.Parameters, m.Layers, m.Hidden, m.FeedForward, m.Heads, m.HeadDim, m.KVHeads, m.Vocabulary, m.Positions)
	if m.TokenizerError != "" {
		fmt.Fprintf(w, "  tokenizer   none that loads: %s\n", m.TokenizerError)
		return
	}
	fmt.Fprintf(w, "  tokenizer   %d entries, sha256 %.12s\n", m.Tokens, m.TokenizerSHA256)
}

func setupModelMerge(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	base := fs.String("base-model", "", "model the adapter was trained on: a `folder`, or org/name@revision of the Hub")
	adapter := fs.String("adapter", "", "PEFT adapter `folder`")
	output := fs.String("output", "", "`folder` to make")
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"base-model": *base, "adapter": *adapter, "output": *output}); err != nil {
			return err
		}
		dir, err := e.modelFolder(ctx, *base)
		if err != nil {
			return err
		}
		if err := pipeline.Merge(ctx, dir, *adapter, *output, e.modelConfig()...); err != nil {
			return err
		}
		return e.made(*output)
	}
}

func setupBurnIn(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	source := fs.String("model", "", "SO8T model `folder`")
	output := fs.String("output", "", "`folder` to make")
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"model": *source, "output": *output}); err != nil {
			return err
		}
		if err := so8t.BurnIn(ctx, *source, *output, "", e.modelConfig()...); err != nil {
			return invalid(err)
		}
		return e.made(*output)
	}
}

func setupPretrain(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	d := config.Default()
	source := fs.String("model", "", "model `folder`, fresh from model init or trained")
	text := fs.String("text", "", ".txt or .jsonl `file`")
	output := fs.String("output", "", "`folder` that gets the trained model; checkpoints go to OUTPUT.training")
	epochs := fs.Float64("epochs", d.Model.Create.Epochs, "passes over the text")
	rate := fs.Float64("learning-rate", d.Model.Create.LearningRate, "peak learning rate")
	batch := fs.Int("batch-size", d.Model.Create.BatchSize, "sequences a step")
	length := fs.Int("max-length", d.Data.MaxLength, "tokens a sequence")
	seed := fs.Uint64("seed", d.Seed, "seed of the order")
	device := fs.String("device", "auto", "auto, cpu or cuda")
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"model": *source, "text": *text, "output": *output}); err != nil {
			return err
		}
		docs, err := pipeline.PretrainText(ctx, *text, "instruction", false, stepSink{terminal: newTerminal(e.stderr), kind: "base"})
		if err != nil {
			return err
		}
		return e.withEngine(d, *device, "base", func(engine *pipeline.Engine, sink stepSink) error {
			err := engine.Pretrain(ctx, pipeline.PretrainOptions{
				ModelDir: *source, OutDir: *output, WorkDir: *output + ".training", Docs: docs, MaxLength: *length, Seed: *seed,
				Create: config.Create{Epochs: *epochs, LearningRate: *rate, BatchSize: *batch},
			}, sink)
			if err != nil {
				return err
			}
			return e.made(*output)
		})
	}
}

func invalid(err error) error { return experiments.Errorf(experiments.CodeInvalid, "%w", err) }
