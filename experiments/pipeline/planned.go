package pipeline

import (
	"fmt"

	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/runtime/device/paper"
	"triality/runtime/generate"
	"triality/runtime/memory"
	"triality/runtime/model"
	"triality/runtime/train"
)

// planAnswers says what arms need together to answer all rows.
func (e *Engine) planAnswers(arms []*arm, rows []dataset.Row, g config.Generate) (need train.Memory, err error) {
	on := paper.New(e.Device)
	var scratch, reading int64 // of one arm at a time
	for _, a := range arms {
		if err := e.planArm(on, a, g, &need); err != nil {
			return need, err
		}
		longest := 1
		for _, ids := range a.prompts {
			longest = max(longest, len(ids))
		}
		scratch = max(scratch, train.Scratch(on, a.cfg, e.Storage, longest, false))
		reading = max(reading, train.Reading(model.Outline(a.specs)))
	}
	need.Device.Join(on.OnDevice())
	need.Device.Add(train.SharedScratch, scratch)
	need.Host.Add(train.SharedReading, reading)
	need.Host.Add("answers", memory.Times(answerBytes, len(rows)))
	return need, nil
}

// answerBytes is what is kept of a row beside its texts: prompts, probabilities and latencies.
const answerBytes = 1 << 10

func (e *Engine) planArm(on *paper.Device, a *arm, g config.Generate, need *train.Memory) (err error) {
	on.For(train.SharedWeights)
	params, err := model.Reserve(on, a.cfg, model.Outline(a.specs), e.Storage)
	if err != nil {
		return err
	}
	p := *a // the arm itself is loaded later
	if err := p.start(on, params); err != nil {
		return err
	}
	use := generate.Use{}
	longest := 0
	for _, ids := range a.prompts {
		use.Prompts = append(use.Prompts, len(ids))
		longest = max(longest, len(ids))
	}
	use.Common = generate.Common(a.prompts)
	for _, ids := range a.answers {
		use.Continuations = append(use.Continuations, len(ids))
	}
	if !g.IsZero() {
		use.MaxNew, use.AtOnce = g.MaxNewTokens, textsAtOnceOf(g)
		use.AtOnce = min(use.AtOnce, max(1, len(a.prompts)))
	}
	on.For(train.SharedActivations)
	if err := p.engine.Reserve(use); err != nil {
		return err
	}
	if len(a.validation) > 0 {
		fitted := generate.Use{Continuations: use.Continuations, Common: generate.Common(a.validation), Together: true}
		for _, ids := range a.validation {
			fitted.Prompts = append(fitted.Prompts, len(ids))
		}
		if err := p.engine.Reserve(fitted); err != nil {
			return err
		}
	}
	if p.heads != nil {
		if err := p.heads.Reserve(max(1, longest)); err != nil {
			return err
		}
	}
	need.Host.Add("texts", p.engine.Held(use))
	return nil
}

// answerAdvice says what an A/B test can do with less.
func answerAdvice(e *Engine, o ABTestOptions) advice {
	how := advice{
		train.SharedWeights:     {"compare smaller models"},
		train.SharedActivations: {fmt.Sprintf("lower data.max_length (%d)", o.MaxLength)},
	}
	if !e.Storage.Quantized() {
		how[train.SharedWeights] = append([]string{"set model.load_in_8bit: true"}, how[train.SharedWeights]...)
	}
	if !o.Test.Generate.IsZero() {
		how[train.SharedActivations] = append([]string{fmt.Sprintf("lower test.generate.batch_size (%d) or test.generate.max_new_tokens (%d)",
			textsAtOnceOf(o.Test.Generate), o.Test.Generate.MaxNewTokens)}, how[train.SharedActivations]...)
	}
	return how
}

// trainAdvice says what a training can do with less; section is that of the configuration.
func (e *Engine) trainAdvice(section string, batch, maxLength int, adapter bool) advice {
	activations := []string{}
	if batch > 1 {
		activations = append(activations, fmt.Sprintf("lower %s.per_device_train_batch_size (%d)", section, batch))
	}
	activations = append(activations, fmt.Sprintf("lower data.max_length (%d)", maxLength))
	if e.Recompute == "" || e.Recompute == train.RecomputeNone {
		activations = append(activations, "set training.gradient_checkpointing: true")
	}
	how := advice{train.SharedActivations: activations, train.SharedWeights: {"take a smaller model"}}
	if !e.Storage.Quantized() && adapter {
		how[train.SharedWeights] = []string{"set model.load_in_8bit: true", "take a smaller model"}
	}
	states := []string{"set training.optim: adamw_8bit"}
	if adapter {
		states = append([]string{"lower training.lora_r or training.lora_rank_pattern"}, states...)
	} else if section == "training" {
		states = append([]string{"set training.finetuning_type: lora"}, states...)
	}
	for _, share := range []string{train.SharedTrained, train.SharedGradients, train.SharedStates, train.SharedCopies, train.SharedReading} {
		how[share] = states
	}
	return how
}
