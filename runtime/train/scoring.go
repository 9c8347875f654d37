package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"triality/runtime/device"
	"triality/runtime/generate"
	"triality/runtime/lora"
	"triality/runtime/model"
)

// Scoring has a language model choose among answers at each evaluation: each answer is scored as the continuation of each
// prompt, as an A/B test scores labels.
type Scoring struct {
	Prompts [][]int32 // token ids
	Answers [][]int32 // likewise, the same ones for every prompt
	// Figures gives values for the evaluation's record, whose names get eval_ before them, from the answers'
	// log-probabilities, [prompt][answer].
	Figures func(scores [][]float64) map[string]float64
}

// identity is what a checkpoint depends on where the figures decide which weights stay.
func (s *Scoring) identity() string {
	h := sha256.New()
	for _, set := range [][][]int32{s.Prompts, s.Answers} {
		hashInt(h, len(set))
		for _, ids := range set {
			hashInts(h, ids)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// scored is a language model whose weights are being trained, as one that answers.
type scored struct {
	*Scoring
	dev     device.Device
	cfg     model.Config
	adapter *lora.Adapter // nil: every weight is trained
	frozen  *model.DeviceParams
}

// engine runs the model over the frozen weights and the present values of the trained ones.
func (s *scored) engine(trained map[string]device.Buffer) (*generate.Engine, error) {
	hooks := model.Hooks{}
	if s.adapter != nil {
		hooks = s.adapter.Hooks(hooks, false)
	}
	return generate.New(s.dev, s.cfg, s.frozen.With(trained), hooks)
}

// figures answers every prompt. The engine is made anew each time: what it holds is of no use to training, and nothing of
// an earlier evaluation may be left in its cache.
func (s *scored) figures(ctx context.Context, trained map[string]device.Buffer) (_ map[string]float64, err error) {
	e, err := s.engine(trained)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	scores, err := e.ScoreBatch(ctx, s.Prompts, s.Answers)
	if err != nil {
		return nil, err
	}
	return s.Figures(scores), nil
}

// reserve takes on paper what figures takes.
func (s *scored) reserve() error {
	e, err := s.engine(nil)
	if err != nil {
		return err
	}
	var use generate.Use
	for _, p := range s.Prompts {
		use.Prompts = append(use.Prompts, len(p))
	}
	for _, a := range s.Answers {
		use.Continuations = append(use.Continuations, len(a))
	}
	use.Common, use.Together = generate.Common(s.Prompts), true
	return e.Reserve(use)
}

// check refuses prompts that cannot be answered.
func (s *Scoring) check(cfg model.Config) error {
	if len(s.Prompts) == 0 || len(s.Answers) < 2 || s.Figures == nil {
		return fmt.Errorf("scoring: %d prompts and %d answers: want at least one prompt, two answers, and figures", len(s.Prompts), len(s.Answers))
	}
	longest := 0
	for i, a := range s.Answers {
		if len(a) == 0 {
			return fmt.Errorf("scoring: answer %d has no tokens", i)
		}
		longest = max(longest, len(a))
	}
	for i, p := range s.Prompts {
		if n := len(p) + longest; len(p) == 0 || n > cfg.MaxPositions {
			return fmt.Errorf("scoring: prompt %d with its answer has %d tokens, the model takes %d", i, n, cfg.MaxPositions)
		}
	}
	return nil
}
