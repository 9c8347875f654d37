package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	flag "github.com/spf13/pflag"
	"triality/experiments/pipeline"
	"triality/runtime/generate"
	"triality/runtime/tokenizer"
)

// many is a flag that may be given more than once.
type many []string

func (m *many) String() string     { return strings.Join(*m, ", ") }
func (m *many) Set(v string) error { *m = append(*m, v); return nil }
func (m *many) Type() string       { return "" }

// generation is what generate was asked for.
type generation struct {
	dir      string
	held     precision
	prompt   string
	chat     bool
	system   string
	messages string // file
	prompts  string // file
	atOnce   int
	stream   bool
	maxNew   int
	stop     many
	sampling generate.Sampling
}

func setupGenerate(e *env, fs *flag.FlagSet) func(context.Context, []string) error {
	var g generation
	dir := fs.String("model", "", "model, plain or SO8T: a `folder`, or org/name@revision of the Hub")
	fs.IntVar(&g.maxNew, "max-new-tokens", 64, "tokens to add at most")
	fs.Float64Var(&g.sampling.Temperature, "temperature", 0, "how far from the likeliest token to stray; 0 always takes it")
	fs.IntVar(&g.sampling.TopK, "top-k", 0, "draw from the k likeliest tokens; 0 from all")
	fs.Float64Var(&g.sampling.TopP, "top-p", 1, "draw from the likeliest tokens that make up this probability; 1 from all")
	fs.Float64Var(&g.sampling.RepetitionPenalty, "repetition-penalty", 1, "above 1, makes tokens that are there already less likely")
	fs.Uint64Var(&g.sampling.Seed, "seed", 0, "of the draws: the same seed gives the same text")
	fs.Var(&g.stop, "stop", "`text` that ends the answer and is no part of it; may be given more than once")
	fs.BoolVar(&g.stream, "stream", isTerminal(e.stdout), "print the text as it comes (default: on a terminal)")
	fs.BoolVar(&g.chat, "chat", false, "the prompt is a user's message, put into the model's chat template")
	fs.StringVar(&g.system, "system", "", "the system message before it, with --chat")
	fs.StringVar(&g.messages, "messages", "", "JSON `file` with the messages of a chat, instead of a prompt")
	fs.StringVar(&g.prompts, "prompts", "", "JSONL `file` of many prompts, each {\"prompt\": …} or {\"messages\": […]}; gives a line of JSON for each")
	fs.IntVar(&g.atOnce, "at-once", 8, "with --prompts, texts made together")
	g.held.register(fs)
	e.unknownFlag(fs)
	e.jsonFlag(fs)
	return func(ctx context.Context, args []string) error {
		if err := need(map[string]string{"model": *dir}); err != nil {
			return err
		}
		switch {
		case g.prompts != "" && (len(args) > 0 || g.messages != ""):
			return usagef("--prompts has all prompts; leave out the prompt and --messages")
		case g.prompts != "":
		case g.messages != "" && (len(args) > 0 || g.system != ""):
			return usagef("--messages has the whole chat; leave out the prompt and --system")
		case g.messages == "" && len(args) != 1:
			return usagef("generate wants one prompt")
		}
		switch {
		case e.json && g.prompts != "":
			return usagef("--prompts prints a line of JSON for each text already; leave out --json")
		case g.atOnce < 1:
			return usagef("--at-once is %d, must be at least 1", g.atOnce)
		case g.system != "" && !g.chat:
			return usagef("--system needs --chat")
		case g.maxNew < 1:
			return usagef("--max-new-tokens is %d, must be at least 1", g.maxNew)
		case slices.Contains(g.stop, ""):
			return usagef("--stop wants a text; an empty one would end every answer before it starts")
		}
		if err := g.sampling.Check(); err != nil {
			return usagef("%v", err)
		}
		if len(args) == 1 {
			g.prompt = args[0]
		}
		var err error
		if g.dir, err = e.modelFolder(ctx, *dir); err != nil {
			return err
		}
		return e.generate(ctx, g)
	}
}

func (e *env) generate(ctx context.Context, g generation) error {
	tok, err := tokenizer.Load(g.dir)
	if err != nil {
		return invalid(err)
	}
	requests, err := g.requests(tok)
	if err != nil {
		return invalid(err)
	}
	cfg, err := g.held.config()
	if err != nil {
		return err
	}
	dev, _, err := pipeline.OpenDevice(cfg)
	if err != nil {
		return err
	}
	defer dev.Close()
	m, params, hooks, err := pipeline.LoadModel(dev, g.dir, pipeline.StorageOn(dev, cfg), e.modelConfig()...)
	if err != nil {
		return err
	}
	defer params.Close()
	engine, err := generate.New(dev, m, params, hooks)
	if err != nil {
		return err
	}
	defer engine.Close()
	end, err := generate.EndTokens(g.dir, m)
	if err != nil {
		return invalid(err)
	}
	for i := range requests {
		r := &requests[i]
		r.MaxNew, r.Stop, r.Sampling = g.maxNew, g.stop, g.sampling
		r.Sampling.Sequence, r.Decoder, r.End = uint32(i), tok.NewDecoder(true), end
		if eos := tok.EOS(); r.chat && eos >= 0 { // a base model's own end is not that of a turn
			r.End = append(slices.Clip(end), int32(eos))
		}
	}
	if g.prompts != "" {
		return e.generateMany(ctx, engine, requests, g.atOnce)
	}
	return e.generateOne(ctx, engine, requests[0].Request, g.stream && !e.json)
}

func (e *env) generateOne(ctx context.Context, engine *generate.Engine, r generate.Request, stream bool) error {
	if stream {
		r.Emit = func(text string) { fmt.Fprint(e.asIs(), text) }
	}
	start := time.Now()
	out, err := engine.Generate(ctx, r)
	switch {
	case stream:
		fmt.Fprintln(e.asIs())
	case err == nil:
		err = e.result(generated{out.Text, len(out.IDs), out.Finish}, func(io.Writer) { fmt.Fprintln(e.asIs(), out.Text) })
	}
	if err != nil {
		return invalid(err)
	}
	took := time.Since(start)
	fmt.Fprintf(e.stderr, "%d tokens in %s, %.1f a second; ended by %s\n", len(out.IDs), took.Round(time.Millisecond),
		float64(len(out.IDs))/took.Seconds(), map[generate.Finish]string{generate.FinishEnd: "the model", generate.FinishStop: "a stop text", generate.FinishLength: "the length"}[out.Finish])
	return nil
}
