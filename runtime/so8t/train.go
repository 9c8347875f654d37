package so8t

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"triality/runtime/device"
	"triality/runtime/device/paper"
	"triality/runtime/model"
	"triality/runtime/train"
)

// Example is a request with its answer and class. The heads are trained at the prompt's last token.
type Example struct {
	train.Example
	Prompt int // tokens of the prompt, the first of IDs
	Class  Class
}

// Train trains gates, scales and heads of m on the examples with the base weights frozen (see
// objective for the loss), and gives a new model; m is not changed. Checkpoints, resumption, eval
// (which may be empty), the observer and the errors are train.Loop's; every training record has each
// layer's Health besides.
func Train(ctx context.Context, dev device.Device, m *Model, examples, eval []Example, dir string, cfg Config, observer train.Observer) (_ *Model, _ *train.Result, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, nil, fmt.Errorf("so8t: %w", err)
	}
	if cfg.Epochs == 0 {
		return nil, nil, errors.New("so8t: num_train_epochs is 0: there is nothing to train")
	}
	for name, set := range map[string][]Example{"train": examples, "eval": eval} {
		for i, e := range set {
			if e.Prompt < 1 || e.Prompt > len(e.IDs) || e.Class < Allow || e.Class > Refuse {
				return nil, nil, fmt.Errorf("so8t: %s example %d: prompt of %d tokens, %d in all, class %v", name, i, e.Prompt, len(e.IDs), e.Class)
			}
		}
	}
	identity, err := m.identity(cfg, examples, eval)
	if err != nil {
		return nil, nil, fmt.Errorf("so8t: %w", err)
	}
	frozen, err := model.UploadAs(dev, m.Source, m.Base, cfg.Storage)
	if err != nil {
		return nil, nil, fmt.Errorf("so8t: %w", err)
	}
	defer func() { err = errors.Join(err, frozen.Close()) }()
	o := &objective{cfg: cfg, source: m.Source, frozen: frozen, train: examples, eval: eval}
	task := train.Task{
		Weights: m.trainable(cfg), Storage: cfg.Storage.Matrices, Vocab: m.Source.VocabSize, Longest: m.Source.MaxPositions, Build: o.build,
		Identity: identity,
		Monitor: func(weight func(string) ([]float32, error)) (map[string]float64, error) {
			now := m.Clone()
			for _, w := range m.trainable(cfg) {
				data, err := weight(w.Name)
				if err == nil {
					err = now.setExtra(w.Name, data)
				}
				if err != nil {
					return nil, err
				}
			}
			health, err := Monitor(dev, now.Layers)
			values := map[string]float64{}
			for i, h := range health {
				h.metrics(i, values)
			}
			return values, err
		},
	}
	res, err := train.Loop(ctx, dev, task, plainExamples(examples), plainExamples(eval), dir, cfg.options(), observer)
	if err != nil {
		return nil, nil, err
	}
	out := m.Clone()
	for _, w := range res.Weights {
		if err := out.setExtra(w.Name, w.Data); err != nil {
			return nil, nil, err
		}
	}
	return out, res, nil
}

// PlanMemory says what Train with the same arguments needs: see train.PlanMemory.
func PlanMemory(dev device.Device, m *Model, examples, eval []Example, cfg Config) (train.Memory, error) {
	on := paper.New(dev)
	on.For(train.SharedWeights)
	frozen, err := model.Reserve(on, m.Source, m.Base, cfg.Storage)
	if err != nil {
		return train.Memory{}, fmt.Errorf("so8t: %w", err)
	}
	o := &objective{cfg: cfg, source: m.Source, frozen: frozen, train: examples, eval: eval}
	task := train.Task{Storage: cfg.Storage.Matrices, Build: o.build}
	for _, w := range m.trainable(cfg) {
		task.Weights = append(task.Weights, train.Weight{Name: w.Name, Shape: w.Shape})
	}
	opt := cfg.options()
	opt.Storage = cfg.Storage
	need, err := train.PlanLoop(on, task, plainExamples(examples), plainExamples(eval), opt, m.Source)
	need.Device.Add(train.SharedActivations, 8*8*16*4) // the matrices that Monitor compares
	need.Host.Add(train.SharedReading, train.Reading(m.Base))
	return need, err
}

// trainable lists the weights that cfg trains: a head whose loss has weight 0 stays as it is. Only
// the heads decay: a decaying generator or scale would drift to another function for no reason.
func (m *Model) trainable(cfg Config) []train.Weight {
	var list []train.Weight
	values := m.extras()
	for i, s := range specs(m.Source) {
		if s.Name == SafetyHead && cfg.SafetyWeight == 0 || s.Name == AuthorityHead && cfg.AuthorityWeight == 0 {
			continue
		}
		list = append(list, train.Weight{Name: s.Name, Shape: s.Shape, Data: slices.Clone(values[i]), Decay: len(s.Shape) == 2})
	}
	return list
}

// identity is what a checkpoint depends on besides the trainer's options and the examples' tokens.
func (m *Model) identity(cfg Config, sets ...[]Example) (map[string]string, error) {
	base, err := train.HashWeights(m.Base)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	for _, set := range sets {
		for _, e := range set {
			fmt.Fprintln(h, e.Prompt, e.Class)
		}
		fmt.Fprintln(h)
	}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	id := map[string]string{
		"base_model": base, "classes": hex.EncodeToString(h.Sum(nil)), "pet_lambda": number(cfg.PETLambda),
		"task_weight": number(cfg.TaskWeight), "safety_weight": number(cfg.SafetyWeight), "authority_weight": number(cfg.AuthorityWeight),
	}
	cfg.Storage.Identify(id)
	return id, nil
}

func plainExamples(set []Example) []train.Example {
	out := make([]train.Example, len(set))
	for i, e := range set {
		out[i] = e.Example
	}
	return out
}
