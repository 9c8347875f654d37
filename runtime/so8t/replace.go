package so8t

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"time"

	"triality/runtime/device"
	"triality/runtime/generate"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/train"
	"triality/runtime/wallclock"
)

// Report says what a replacement did; it is stored as replacement.json.
type Report struct {
	SourceHash      string `json:"source_hash"` // train.HashWeights of the source's weights
	SourceModelType string `json:"source_model_type"`
	VocabSize       int    `json:"vocab_size"`
	HiddenSize      int    `json:"hidden_size"`
	Layers          int    `json:"num_hidden_layers"`
	Heads           int    `json:"num_attention_heads"`
	KVHeads         int    `json:"num_key_value_heads"`

	StorageType safetensors.DType `json:"storage_type"` // the coarsest of the base weights'
	Device      string            `json:"device"`
	Probes      int               `json:"probes"`       // inputs compared
	ProbeTokens int               `json:"probe_tokens"` // tokens in them

	MaxLogitDifference float64   `json:"max_logit_difference"`
	MaxLogit           float64   `json:"max_logit"`           // largest absolute logit of the source
	RelativeDifference float64   `json:"relative_difference"` // of the two
	Tolerance          float64   `json:"tolerance"`           // on RelativeDifference
	Time               time.Time `json:"time"`
}

// ErrDiffers is returned by Replace when the logits differ by more than the tolerance.
var ErrDiffers = errors.New("the SO8T model does not compute what its source does")

// Tolerance is the largest relative logit difference that replacement accepts for a storage type:
// a few roundings of the type (2⁻¹¹ for F16, 2⁻⁸ for BF16), and 1e-5 for F32 as for every
// architecture.
func Tolerance(t safetensors.DType) float64 {
	switch t {
	case safetensors.F16:
		return 0x1p-9
	case safetensors.BF16:
		return 0x1p-6
	}
	return 1e-5
}

// Progress is told of the parts of a long call: of the elements in "load" and "write", of the probes in
// "compare". It may be nil.
type Progress func(stage string, done, total int)

func (p Progress) tell(stage string, done, total int) {
	if p != nil {
		p(stage, done, total)
	}
}

// watch tells the parts, elements, of reading a source.
func (p Progress) watch(stage string, s model.Source) model.Source {
	return model.Watch(s, func(done, total int) { p.tell(stage, done, total) })
}

// Replace makes an SO8T model in outDir out of the plain model in srcDir. The new folder is read back
// and its logits on the probes (token ids, at least one) are compared with the source's; only a
// model that passes gets the name outDir, in one rename. Training, where cfg asks for it, is Train's.
// Of either model few weights at a time are in memory, besides what dev holds of one of them.
func Replace(ctx context.Context, dev device.Device, srcDir, outDir string, cfg Config, probes [][]int32, progress Progress) (Report, error) {
	fail := func(err error) (Report, error) {
		if missing := (*safetensors.MissingShardError)(nil); errors.As(err, &missing) {
			return Report{}, missing // says where it is
		}
		return Report{}, fmt.Errorf("replace %s: %w", srcDir, err)
	}
	if err := cfg.Validate(); err != nil {
		return fail(err)
	}
	if len(probes) == 0 {
		return fail(errors.New("no probe inputs to compare the models on"))
	}
	if already, err := IsModel(srcDir); err != nil {
		return fail(err)
	} else if already {
		return fail(errors.New("it is an SO8T model already"))
	}
	var rep Report
	err := stage(outDir, func(dir string) (err error) {
		rep, err = replace(ctx, dev, srcDir, dir, cfg, probes, progress)
		return err
	})
	if err != nil {
		return fail(err)
	}
	return rep, nil
}

// replace fills dir. It has closed the files of both folders when it returns: Windows renames no folder
// with an open one.
func replace(ctx context.Context, dev device.Device, srcDir, dir string, cfg Config, probes [][]int32, progress Progress) (rep Report, err error) {
	source, err := model.LoadConfig(srcDir, cfg.ModelConfig...)
	if err != nil {
		return rep, err
	}
	base, err := model.OpenFolder(srcDir, source)
	if err != nil {
		return rep, err
	}
	defer base.Close()
	types, err := storage(srcDir, source)
	if err != nil {
		return rep, err
	}
	weights := model.WithContext(ctx, base)
	m, err := New(source, weights, types)
	if err != nil {
		return rep, err
	}
	rep = Report{
		SourceModelType: source.ModelType, VocabSize: source.VocabSize, HiddenSize: source.HiddenSize,
		Layers: source.Layers, Heads: source.Heads, KVHeads: source.KVHeads, StorageType: coarsest(types), Device: dev.Info().Name,
		Tolerance: cfg.Tolerance,
	}
	if rep.Tolerance == 0 {
		rep.Tolerance = Tolerance(rep.StorageType)
	}
	if rep.SourceHash, err = train.HashWeights(progress.watch("load", weights)); err != nil {
		return rep, err
	}
	m.Base = progress.watch("write", weights)
	if err := errors.Join(carry(srcDir, dir), m.write(ctx, dir)); err != nil {
		return rep, err
	}
	m.Base = weights
	written, err := Load(dir, cfg.ModelConfig...)
	if err != nil {
		return rep, fmt.Errorf("reading back: %w", err)
	}
	defer written.Close()
	if err := rep.compare(ctx, dev, cfg.Storage, m, written, probes, progress); err != nil {
		return rep, err
	}
	rep.Time = wallclock.Now().UTC().Truncate(time.Second)
	raw, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return rep, err
	}
	return rep, writeBytes(filepath.Join(dir, replacementFile), append(raw, '\n'))
}

// compare fills in the measured difference of the two models' task logits. One model at a time is on
// the device.
func (r *Report) compare(ctx context.Context, dev device.Device, st model.Storage, source, written *Model, probes [][]int32, progress Progress) error {
	want := make([][][]float32, len(probes))
	err := source.eachLogits(ctx, dev, st, model.Hooks{}, probes, func(i int, got [][]float32) error {
		progress.tell("compare", i, 2*len(probes))
		want[i] = got
		return nil
	})
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	err = written.eachLogits(ctx, dev, st, Hooks(), probes, func(i int, got [][]float32) error {
		progress.tell("compare", len(probes)+i, 2*len(probes))
		r.Probes++
		r.ProbeTokens += len(probes[i])
		return r.difference(i, want[i], got)
	})
	if err != nil {
		return err
	}
	progress.tell("compare", 2*len(probes), 2*len(probes))
	if r.MaxLogit > 0 {
		r.RelativeDifference = r.MaxLogitDifference / r.MaxLogit
	} else if r.MaxLogitDifference > 0 {
		return fmt.Errorf("%w: the source's logits are all 0, the new model's reach %g", ErrDiffers, r.MaxLogitDifference)
	}
	if r.RelativeDifference > r.Tolerance {
		return fmt.Errorf("%w: logits differ by %g of the largest, the tolerance of %s is %g", ErrDiffers, r.RelativeDifference, r.StorageType, r.Tolerance)
	}
	return nil
}

func (r *Report) difference(probe int, want, got [][]float32) error {
	for t := range want {
		for v, x := range want[t] {
			d := math.Abs(float64(got[t][v]) - float64(x))
			if math.IsNaN(d) || math.IsInf(d, 0) {
				return fmt.Errorf("%w: probe %d, token %d: a logit is %v in the source and %v after", ErrDiffers, probe, t, x, got[t][v])
			}
			r.MaxLogit, r.MaxLogitDifference = max(r.MaxLogit, math.Abs(float64(x))), max(r.MaxLogitDifference, d)
		}
	}
	return nil
}

// eachLogits runs the task head on each of the inputs.
func (m *Model) eachLogits(ctx context.Context, dev device.Device, st model.Storage, hooks model.Hooks, inputs [][]int32, use func(i int, logits [][]float32) error) (err error) {
	params, err := m.Upload(dev, st)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, params.Close()) }()
	e, err := generate.New(dev, m.Source, params, hooks)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	for i, ids := range inputs {
		if err := ctx.Err(); err != nil {
			return err
		}
		logits, err := e.Logits(ids)
		if err == nil {
			err = use(i, logits)
		}
		if err != nil {
			return fmt.Errorf("probe %d: %w", i, err)
		}
	}
	return nil
}

// coarsest is the least exact of the types: BF16, F16, then F32.
func coarsest(types map[string]safetensors.DType) safetensors.DType {
	worst := safetensors.F32
	for _, t := range types {
		if Tolerance(t) > Tolerance(worst) {
			worst = t
		}
	}
	return worst
}
