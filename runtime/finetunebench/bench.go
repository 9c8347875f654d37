// Package finetunebench measures fine-tuning on a device: a model of a known shape with random
// weights learns a few sequences by heart with LoRA, which shows loss, tokens per second and memory,
// with transformers and peft beside it where Python has them.
package finetunebench

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"

	"triality/runtime/device"
	"triality/runtime/lora"
	"triality/runtime/model"
	"triality/runtime/train"
)

// Shape is a model's sizes, of the family qwen2.
type Shape struct {
	Name                                   string
	Hidden, Layers, Heads, KVHeads, FFN, V int
	Tied                                   bool
}

// Shapes are those of published models, largest first, and one for a trial of the command.
var Shapes = []Shape{
	{"qwen2.5-7b", 3584, 28, 28, 4, 18944, 152064, false},
	{"qwen2.5-1.5b", 1536, 28, 12, 2, 8960, 151936, true},
	{"qwen2.5-0.5b", 896, 24, 14, 2, 4864, 151936, true},
	{"tiny", 64, 2, 4, 2, 128, 512, true},
}

// Options configures Run.
type Options struct {
	Shape        Shape
	Storage      model.Storage
	Optimizer    string // train.Options.Optimizer
	Recompute    string // train.Options.Recompute
	R            int    // rank of the adapters on all linear modules
	Sequence     int    // tokens of a sequence
	MicroBatch   int    // sequences of a micro-batch
	Accumulation int    // micro-batches of a step
	Steps        int
	LearningRate float64
	Outliers     int // input channels that each layer's norms make loud; more than the width is all
	Seed         uint64
	Observer     train.Observer // may be nil
}

// Result is what one run showed.
type Result struct {
	Model           string    `json:"model"`
	Parameters      int       `json:"parameters"`
	Trained         int       `json:"trained_parameters"`
	Device          string    `json:"device"`
	Cards           int       `json:"cards,omitempty"` // that trained together, where they were several
	Storage         string    `json:"storage"`
	Int8            bool      `json:"load_in_8bit"`
	Quantization    string    `json:"quantization,omitempty"`
	Outliers        int       `json:"outlier_channels,omitempty"`
	Optimizer       string    `json:"optim"`
	Recompute       string    `json:"gradient_checkpointing"`
	Sequence        int       `json:"sequence"`
	MicroBatch      int       `json:"micro_batch"`
	Accumulation    int       `json:"gradient_accumulation_steps"`
	TokensPerSecond float64   `json:"tokens_per_second"`    // median step after the first two
	FirstStep       float64   `json:"first_step_seconds"`   // with the kernels' compilation, where they are not compiled yet
	PlannedMemory   int64     `json:"planned_memory_bytes"` // of a device, by the plan that limits go by
	PeakMemory      int64     `json:"peak_memory_bytes"`    // allocated by the device; 0 where it does not count
	Losses          []float64 `json:"losses"`               // of each step
	Digest          string    `json:"trained_sha256"`       // of the adapter's values
}

// config is the shape as a model's configuration.
func (s Shape) config() (model.Config, error) {
	named := model.NamedShape{Name: s.Name, Hidden: s.Hidden, Layers: s.Layers, Heads: s.Heads, KVHeads: s.KVHeads, FFN: s.FFN, Positions: 32768}
	c, err := named.Config("qwen2", s.V)
	if err != nil {
		return c, err
	}
	c.TieEmbeddings, c.RopeTheta = s.Tied, 1e6
	return c, c.Check()
}

// distinct is the number of token ids that occur, so that a few steps already lower the loss.
const distinct = 1000

// sequences are what is learnt by heart: one step's worth, the same for every run of a seed.
func (o Options) sequences(vocab int) []train.Example {
	rng := rand.New(rand.NewPCG(o.Seed, 3))
	ids := rng.Perm(vocab)[:min(vocab, distinct)]
	out := make([]train.Example, o.MicroBatch*o.Accumulation)
	for i := range out {
		e := train.Example{IDs: make([]int32, o.Sequence)}
		for j := range e.IDs {
			e.IDs[j] = int32(ids[rng.IntN(len(ids))])
		}
		e.Labels = e.IDs
		out[i] = e
	}
	return out
}

// Run trains on dev and measures.
func Run(ctx context.Context, dev device.Device, o Options) (_ *Result, err error) {
	cfg, err := o.Shape.config()
	if err != nil {
		return nil, fmt.Errorf("bench finetune: %w", err)
	}
	weights, err := newWeights(cfg, o.Seed, min(o.Outliers, cfg.HiddenSize))
	if err != nil {
		return nil, fmt.Errorf("bench finetune: %w", err)
	}
	dir, err := os.MkdirTemp("", "triality-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench finetune: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	opt := train.DefaultOptions()
	opt.MaxSteps, opt.BatchSize, opt.GradientAccumulation = o.Steps, o.MicroBatch, o.Accumulation
	opt.LearningRate, opt.Scheduler, opt.LoggingSteps, opt.Seed = o.LearningRate, "constant", 1, o.Seed
	opt.SaveSteps, opt.SaveTotalLimit, opt.CheckpointInterval = 0, 1, 0
	opt.Optimizer, opt.Recompute, opt.Storage = o.Optimizer, o.Recompute, o.Storage
	opt.LoRA = &lora.Config{R: o.R, Alpha: float64(2 * o.R), TargetModules: []string{lora.AllLinear}}
	set := o.sequences(cfg.VocabSize)
	one := dev
	if g, ok := dev.(device.Group); ok {
		one = g.Devices()[0]
	}
	planned, err := train.PlanMemory(one, cfg, weights, set, nil, opt)
	if err != nil {
		return nil, fmt.Errorf("bench finetune: %w", err)
	}
	result, err := train.Run(ctx, dev, cfg, weights, set, nil, dir, opt, o.Observer)
	if err != nil {
		return nil, fmt.Errorf("bench finetune: %w", err)
	}
	i := dev.Info()
	r := &Result{
		Model: o.Shape.Name, Parameters: model.Elements(weights), Device: i.Name + " " + i.Model,
		Storage: o.Storage.Matrices.String(), Int8: o.Storage.Int8, Quantization: quantization(o.Storage), Outliers: o.Outliers, Optimizer: o.Optimizer, Recompute: o.Recompute,
		Sequence: o.Sequence, MicroBatch: o.MicroBatch, Accumulation: o.Accumulation, PlannedMemory: planned.Device.Total(),
	}
	digest := sha256.New()
	for _, w := range result.Weights {
		r.Trained += len(w.Data)
		if err := binary.Write(digest, binary.LittleEndian, w.Data); err != nil {
			return nil, fmt.Errorf("bench finetune: %w", err)
		}
	}
	r.Digest = hex.EncodeToString(digest.Sum(nil))
	if g, ok := dev.(device.Group); ok {
		r.Cards = len(g.Devices())
	}
	r.FirstStep = result.Records[0].Timing["seconds"]
	var seconds []float64
	for _, rec := range result.Records {
		r.Losses = append(r.Losses, rec.Values["loss"])
		if rec.Step > 2 || o.Steps <= 2 {
			seconds = append(seconds, rec.Timing["seconds"])
		}
	}
	slices.Sort(seconds)
	r.TokensPerSecond = float64(len(set)*o.Sequence) / seconds[len(seconds)/2]
	if u, ok := dev.(device.MemoryUser); ok {
		_, r.PeakMemory = u.MemoryInUse()
	}
	return r, nil
}

// quantization is the configuration's name of fp8.
func quantization(s model.Storage) string {
	if s.FP8 {
		return s.Format()
	}
	return ""
}
