package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"triality/experiments"
	"triality/experiments/calibration"
	"triality/experiments/dataset"
	"triality/runtime/device"
	"triality/runtime/generate"
	"triality/runtime/model"
	"triality/runtime/so8t"
	"triality/runtime/tokenizer"
)

// arm is one model of an A/B test; load puts its weights on a device.
type arm struct {
	name    string // folder, or "org/name@commit"
	dir     string
	kind    string // "hf" or "so8t"
	tok     *tokenizer.Tokenizer
	format  *dataset.Format
	limit   int // tokens of a prompt
	cfg     model.Config
	specs   []model.Spec // its weights
	hooks   model.Hooks
	params  *model.DeviceParams
	engine  *generate.Engine // scores the labels as continuations
	heads   *so8t.Classifier // nil for a plain model
	answers [][]int32        // token ids of each label
	prompts [][]int32        // of the rows
	// validation are the prompts of the rows that temperature and thresholds are fitted on; nil where there are none.
	validation [][]int32

	positions int     // tokens of the longest sequence
	end       []int32 // ids that end a text
}

// newArm reads of a model folder, plain or SO8T, everything but the weights.
func newArm(source Source, format string, maxLength int, options ...model.Option) (*arm, error) {
	a := &arm{name: source.Name, dir: source.Dir, kind: "hf"}
	var err error
	if a.tok, err = loadTokenizer(source.Dir); err != nil {
		return nil, err
	}
	if a.format, err = dataset.NewFormat(format, a.tok); err != nil {
		return nil, err
	}
	longest := 0
	for _, label := range experiments.Labels {
		ids, err := a.format.Answer(a.tok, label)
		if err != nil {
			return nil, invalid(err)
		}
		longest = max(longest, len(ids))
		a.answers = append(a.answers, ids)
	}
	isSO8T, cfg, specs, err := modelLayout(source.Dir, options...)
	if err != nil {
		return nil, err
	}
	if isSO8T {
		a.kind, a.hooks = "so8t", so8t.Hooks()
	}
	a.cfg, a.specs = cfg, specs
	a.limit, a.positions = min(maxLength, cfg.MaxPositions)-longest, cfg.MaxPositions
	if a.end, err = generate.EndTokens(source.Dir, cfg); err != nil {
		return nil, invalid(err)
	}
	if eos := a.tok.EOS(); eos >= 0 { // what training puts after an answer
		a.end = append(a.end, int32(eos))
	}
	return a, nil
}

// load puts the weights on a device. Either kind of model answers with the label it holds likeliest as the
// continuation of the prompt, so that both arms are judged by the same rule; what an SO8T model's
// safety and authority heads say is measured beside it.
func (a *arm) load(dev device.Device, st model.Storage, options ...model.Option) error {
	_, _, params, err := loadModel(dev, a.dir, st, options...)
	if err != nil {
		return err
	}
	return a.start(dev, params)
}

// start makes what runs the model over weights that are on a device.
func (a *arm) start(dev device.Device, params *model.DeviceParams) (err error) {
	a.params = params
	if a.kind == "so8t" {
		a.heads = so8t.NewClassifier(dev, a.cfg, params)
	}
	a.engine, err = generate.New(dev, a.cfg, params, a.hooks)
	return err
}

// prompt tokenizes a row for this arm.
func (a *arm) prompt(r *dataset.Row) ([]int32, error) {
	ids, ok, err := a.format.EncodePrompt(a.tok, r, a.limit)
	if err != nil {
		return nil, invalid(fmt.Errorf("model %s: %w", a.name, err))
	}
	if !ok || len(ids) == 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "model %s: the prompt of row %q does not fit in %d tokens; raise data.max_length", a.name, r.Text(), a.limit)
	}
	return ids, nil
}

// answer is an arm's verdict on one prompt.
type answer struct {
	class       int
	scores      []float64 // log-probability of each label
	probability []float64 // per label, sums to 1
	ms          float64
}

// classify answers a prompt and times it, from token ids to class probabilities.
func (a *arm) classify(ctx context.Context, ids []int32) (answer, error) {
	start := time.Now()
	scores, err := a.engine.ScoreBatch(ctx, [][]int32{ids}, a.answers)
	if err != nil {
		return answer{}, err
	}
	p := calibration.Softmax(scores[0], 1)
	out := answer{scores: scores[0], probability: p, ms: float64(time.Since(start).Nanoseconds()) / 1e6}
	if slices.ContainsFunc(p, math.IsNaN) {
		return answer{}, fmt.Errorf("model %s: the probability of a class is not a number; the weights are damaged", a.name)
	}
	out.class = calibration.Likeliest(p)
	return out, nil
}

func (a *arm) close() error {
	var err error
	if a.heads != nil {
		err = a.heads.Close()
	}
	if a.engine != nil {
		err = errors.Join(err, a.engine.Close())
	}
	if a.params != nil {
		err = errors.Join(err, a.params.Close())
	}
	a.heads, a.engine, a.params = nil, nil, nil // another load may follow
	return err
}
