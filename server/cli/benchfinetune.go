package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	flag "github.com/spf13/pflag"

	"triality/experiments/pipeline"
	"triality/runtime/finetunebench"
	"triality/runtime/train"
)

func setupBenchFinetune(e *env, fl *flag.FlagSet) func(context.Context, []string) error {
	var names []string
	for _, s := range finetunebench.Shapes {
		names = append(names, s.Name)
	}
	shape := fl.String("shape", names[0], strings.Join(names, ", "))
	var held precision
	held.register(fl)
	optim := fl.String("optim", "adamw_torch", "adamw_torch, adamw_8bit, paged_adamw_32bit or paged_adamw_8bit")
	recompute := fl.String("gradient-checkpointing", train.RecomputeLayer, "none, selective or layer")
	o := finetunebench.Options{Seed: 1}
	fl.IntVar(&o.R, "lora-r", 64, "rank of the adapters")
	fl.IntVar(&o.Sequence, "sequence", 2048, "tokens of a sequence")
	fl.IntVar(&o.MicroBatch, "micro-batch", 1, "sequences of a micro-batch")
	fl.IntVar(&o.Accumulation, "accumulation", 1, "micro-batches of a step")
	fl.IntVar(&o.Steps, "steps", 10, "optimizer steps")
	fl.IntVar(&o.Outliers, "outliers", 0, "input channels that each layer's norms make outliers of int8")
	fl.Float64Var(&o.LearningRate, "learning-rate", 2e-4, "learning rate, constant")
	cards := fl.Int("cards", 1, "cards that share the micro-batches of a step, which --accumulation is a multiple of")
	python := fl.String("peer", "", "Python `interpreter` with transformers and peft, which then train the same")
	return func(ctx context.Context, args []string) error {
		if o.R < 1 || o.Sequence < 2 || o.MicroBatch < 1 || o.Accumulation < 1 || o.Steps < 1 || o.Outliers < 0 || *cards < 1 {
			return usagef("bench finetune: numbers must be at least 1, --sequence at least 2")
		}
		found := false
		for _, s := range finetunebench.Shapes {
			if s.Name == *shape {
				o.Shape, found = s, true
			}
		}
		if !found {
			return usagef("--shape: want one of %s, have %q", strings.Join(names, ", "), *shape)
		}
		cfg, err := held.config()
		if err != nil {
			return err
		}
		if o.Optimizer = pipeline.Optimizer(*optim); o.Optimizer == "" {
			return usagef("--optim: there is no %q", *optim)
		}
		o.Recompute = *recompute
		var numbers []int
		for card := range *cards {
			numbers = append(numbers, card)
		}
		dev, notes, err := pipeline.OpenCards(cfg, numbers...)
		if err != nil {
			return err
		}
		for _, n := range notes {
			fmt.Fprintln(e.stderr, n)
		}
		o.Storage, o.Observer = pipeline.StorageOn(dev, cfg), stepPrinter{e}
		var report struct {
			Triality *finetunebench.Result     `json:"triality"`
			Peer     *finetunebench.PeerResult `json:"peer,omitempty"`
			Ratio    float64                   `json:"tokens_per_second_ratio,omitempty"`
		}
		report.Triality, err = finetunebench.Run(ctx, dev, o)
		if closing := dev.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return invalid(err)
		}
		if *python != "" {
			if report.Peer, err = finetunebench.RunPeer(ctx, *python, o, finetunebench.Peer{}); err != nil {
				return err
			}
			report.Ratio = report.Triality.TokensPerSecond / report.Peer.TokensPerSecond
		}
		return printJSON(e.stdout, report)
	}
}

// stepPrinter writes a line for each step.
type stepPrinter struct{ e *env }

func (p stepPrinter) Start(train.Start)                {}
func (p stepPrinter) Checkpoint(train.CheckpointEvent) {}
func (p stepPrinter) Record(r train.Record) {
	line, err := json.Marshal(r.Timing)
	if err == nil {
		fmt.Fprintf(p.e.stderr, "step %d loss %.4f %s\n", r.Step, r.Values["loss"], line)
	}
}
