package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/lora"
	"triality/runtime/model"
)

// LanguageResult is what Run leaves.
type LanguageResult struct {
	Result
	Adapter *lora.Adapter // with Options.LoRA or Options.Adapter
	Params  *model.Params // without: the trained model
}

// Run trains a language model to predict the labelled tokens: a LoRA adapter where opt.LoRA or
// opt.Adapter is set, the whole model otherwise (fine-tuning, or pretraining from model.Init with every token labelled).
// params is not changed. dir, checkpoints, eval, observer and errors are Loop's.
func Run(ctx context.Context, dev device.Device, cfg model.Config, params model.Source, train, eval []Example, dir string, opt Options, observer Observer) (_ *LanguageResult, err error) {
	if err := errors.Join(opt.Validate(), cfg.CheckTrainable(), opt.loss().check(dev)); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if opt.Scoring != nil {
		if err := opt.Scoring.check(cfg); err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
	}
	task := Task{Vocab: cfg.VocabSize, Longest: cfg.MaxPositions, Storage: opt.Storage.Matrices}
	adapter, err := startAdapter(cfg, opt)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	var trained []string // weights of the model itself, beside an adapter
	if adapter != nil {
		cfg, params = adapter.Model(cfg, params)
		if opt.LoRA != nil {
			if err := adapter.Begin(dev, params); err != nil {
				return nil, fmt.Errorf("train: %w", err)
			}
		}
		for _, t := range adapter.Tensors() {
			task.Weights = append(task.Weights, Weight{Name: t.Name, Shape: t.Shape, Data: *t.Data, Decay: decays(t.Name)})
			if t.Saved {
				trained = append(trained, t.Name)
			}
		}
	} else if opt.Storage.Quantized() {
		return nil, fmt.Errorf("train: %s: weights in %s are not trained themselves; set lora_r", opt.Storage.Key(), opt.Storage.Format())
	} else {
		all, err := model.ReadAll(params)
		if err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		task.Weights, params = wholeModel(all), all
	}
	base := hashing(params)
	frozen, err := uploadFrozen(dev, cfg, base, opt.Storage, adapter, trained)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	defer func() { err = errors.Join(err, frozen.Close()) }()
	digest, err := base.sum()
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if task.Identity, err = modelIdentity(cfg, digest, opt.Storage, adapter); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	task.Build = func(rows int, training bool) (*Program, error) {
		return languageProgram(cfg, adapter, frozen, rows, training, opt.loss())
	}
	if opt.Scoring != nil {
		task.Score = (&scored{opt.Scoring, dev, cfg, adapter, frozen}).figures
	}
	task.On = func(dev device.Device) (func(int, bool) (*Program, error), func() error, error) {
		frozen, err := uploadFrozen(dev, cfg, params, opt.Storage, adapter, trained)
		if err != nil {
			return nil, nil, err
		}
		return func(rows int, training bool) (*Program, error) {
			return languageProgram(cfg, adapter, frozen, rows, training, opt.loss())
		}, frozen.Close, nil
	}
	opt.LoRA, opt.Adapter = nil, nil // from here on the task's
	res, err := Loop(ctx, dev, task, train, eval, dir, opt, observer)
	if err != nil {
		return nil, err
	}
	out := &LanguageResult{Result: *res, Adapter: adapter}
	if adapter != nil {
		for i, t := range adapter.Tensors() {
			*t.Data = res.Weights[i].Data
		}
		return out, nil
	}
	list := make([]model.Param, len(res.Weights))
	for i, w := range res.Weights {
		list[i] = model.Param{Name: w.Name, Shape: w.Shape, Data: w.Data}
	}
	out.Params, err = model.NewParams(list...)
	return out, err
}

// startAdapter is the adapter that training starts from; nil trains the whole model.
func startAdapter(cfg model.Config, opt Options) (*lora.Adapter, error) {
	a := opt.Adapter
	if opt.LoRA != nil {
		var err error
		if a, err = lora.New(*opt.LoRA, cfg, opt.Seed); err != nil {
			return nil, err
		}
	} else if a != nil {
		a = a.Clone()
	}
	if a != nil && opt.Storage.Quantized() {
		for _, l := range cfg.Linears() {
			if slices.ContainsFunc(a.Saved, func(s lora.Saved) bool { return s.Name == l.Name+".weight" }) {
				return nil, fmt.Errorf("%s: %s, of lora_modules_to_save, is held in %s and cannot be trained itself", opt.Storage.Key(), l.Name, opt.Storage.Format())
			}
		}
	}
	return a, nil
}

// decays says whether weight decay applies: not to norms and biases (transformers'
// get_decay_parameter_names).
func decays(name string) bool {
	return !strings.HasSuffix(name, ".bias") && !strings.HasSuffix(name, "norm.weight")
}

// wholeModel makes every weight trainable.
func wholeModel(params *model.Params) []Weight {
	var weights []Weight
	for _, name := range params.Names() {
		p, _ := params.Get(name)
		weights = append(weights, Weight{
			Name: name, Shape: p.Shape, Data: p.Data,
			Decay: decays(name),
		})
	}
	return weights
}

// uploadFrozen uploads what is not trained: under an adapter the model but for the weights that are trained
// outright, else only what is computed from the configuration.
func uploadFrozen(dev device.Device, cfg model.Config, base model.Source, st model.Storage, adapter *lora.Adapter, trained []string) (*model.DeviceParams, error) {
	if adapter == nil {
		none, err := model.NewParams()
		if err != nil {
			return nil, err
		}
		return model.UploadAs(dev, cfg, none, st)
	}
	frozen, err := model.UploadAs(dev, cfg, less{base, trained}, st)
	if err != nil {
		return nil, err
	}
	if err := adapter.PutConstants(frozen); err != nil {
		return nil, errors.Join(err, frozen.Close())
	}
	return frozen, nil
}

// less is a model.Source without some of its weights.
type less struct {
	model.Source
	out []string
}

func (l less) Names() []string {
	return slices.DeleteFunc(slices.Clone(l.Source.Names()), func(n string) bool { return slices.Contains(l.out, n) })
}

// languageProgram is the graph of next-token loss on packed batches.
func languageProgram(cfg model.Config, adapter *lora.Adapter, frozen *model.DeviceParams, rows int, training bool, l languageLoss) (*Program, error) {
	hooks := model.Hooks{Storage: frozen.Storage()}
	if adapter != nil {
		hooks = adapter.Hooks(hooks, training)
	}
	var layers G.Nodes
	hooks.HiddenStates = func(_ int, h *G.Node) { layers = append(layers, h) }
	b := model.NewBuilder(cfg, hooks)
	in := b.Inputs(rows)
	h, err := b.Hidden(in)
	if err != nil {
		return nil, err
	}
	labels, share := b.Leaf("input.labels", device.Int32, rows), b.Leaf("input.loss_weights", device.Float, rows)
	if err := b.Err(); err != nil {
		return nil, err
	}
	if !training {
		l = languageLoss{}
	}
	cost, more, err := l.training(b, h, labels, share)
	if err != nil {
		return nil, err
	}
	return &Program{
		Cost: cost, Layers: layers, Leaves: b.Leaves(),
		Bind: func(m *graph.Machine) error { return frozen.Bind(m, b) },
		Feed: func(p *Packed, w *Window) ([]Input, error) {
			if _, err := frozen.SetLength(p.Longest()); err != nil {
				return nil, err
			}
			feed := append(p.Inputs(in), Input{labels, p.Labels}, Input{share, w.LossWeights(p)})
			if more != nil {
				feed = append(feed, more(p, w)...)
			}
			return append(feed, dropoutKey(b.Leaves(), w)...), nil
		},
	}, nil
}

// Inputs gives the values of a model's index leaves.
func (p *Packed) Inputs(in model.Inputs) []Input {
	return []Input{{in.IDs, p.IDs}, {in.Pos, p.Pos}, {in.Lo, p.Lo}, {in.Hi, p.Hi}}
}

func dropoutKey(leaves map[string]*G.Node, w *Window) []Input {
	if leaf := leaves[lora.DropoutKey]; leaf != nil {
		return []Input{{leaf, w.DropoutKey[:]}}
	}
	return nil
}

// modelIdentity is what a checkpoint depends on besides the options: model and adapter settings.
func modelIdentity(cfg model.Config, base string, st model.Storage, c *lora.Adapter) (map[string]string, error) {
	raw, err := cfg.JSON()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	id := map[string]string{"model_config": hex.EncodeToString(sum[:]), "base_model": base, "lora": "off"}
	st.Identify(id)
	if c != nil {
		number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
		delete(id, "lora")
		id["lora_r"], id["lora_alpha"], id["lora_dropout"] = strconv.Itoa(c.R), number(c.Alpha), number(c.Dropout)
		id["lora_target_modules"], id["use_rslora"] = strings.Join(c.TargetModules, " "), strconv.FormatBool(c.RSLoRA)
		if c.DoRA {
			id["use_dora"] = "true"
		}
		for _, m := range c.Modules {
			if m.R != c.R || m.Scaling != c.Scaling() {
				id["lora_pattern "+m.Name] = strconv.Itoa(m.R) + " " + number(m.Scaling)
			}
		}
		for name, value := range map[string]string{
			"lora_target_pattern": c.TargetPattern, "lora_exclude_modules": strings.Join(c.ExcludeModules, " ") + c.ExcludePattern,
			"lora_layers": fmt.Sprint(c.Layers, c.LayersPattern), "lora_modules_to_save": strings.Join(c.SaveModules, " "),
		} {
			if value != "" && value != "[] []" {
				id[name] = value
			}
		}
	}
	return id, nil
}
