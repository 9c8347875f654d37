package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/kinds/replace"
	"triality/runtime/atomicfile"
	"triality/runtime/hub"
	"triality/runtime/so8t"
	"triality/runtime/tokenizer"
	"triality/runtime/train"
)

// ReplaceOptions configures Replace.
type ReplaceOptions = replace.Options

// maxProbes bounds the prompts on which the replaced model is compared with its source.
const maxProbes = 16

// Replace makes an SO8T model out of a plain one, measures their largest logit difference, and trains
// its rotations and heads where the configuration asks for it.
func (e *Engine) Replace(ctx context.Context, o ReplaceOptions, sink Sink) error {
	unclaim, err := claim(o.OutDir)
	if err != nil {
		return err
	}
	defer unclaim()
	source, err := e.Locate(ctx, o.Model, hub.ModelFiles, sink)
	if err != nil {
		return err
	}
	o.Model = source.Dir
	var set, val []so8t.Example
	var probes [][]int32
	if o.Dataset != "" {
		splits, err := dataset.Open(o.Dataset)
		if err != nil {
			return err
		}
		if set, err = classExamples(splits, "train", o.Dataset); err != nil {
			return err
		}
		if splits["val"] != nil {
			if val, err = classExamples(splits, "val", o.Dataset); err != nil {
				return err
			}
		}
		probes = rowProbes(set)
	} else {
		if o.SO8T.Epochs > 0 {
			return experiments.Errorf(experiments.CodeInvalid, "so8t.num_train_epochs is %v: training the rotations needs a dataset (--dataset)", o.SO8T.Epochs)
		}
		tok, err := loadTokenizer(o.Model)
		if err != nil {
			return err
		}
		probes = textProbes(tok)
	}

	c := so8tConfig(o.SO8T, o.MaxLength, o.Seed)
	c.Storage, c.Recompute, c.ModelConfig = e.Storage, e.Recompute, e.Config
	// A finished model that is there stays until the new one is finished. What a killed call left of that
	// is made anew: replacement itself takes seconds, its training resumes.
	unfinished := filepath.Join(o.OutDir, "model.unfinished")
	report, err := so8t.Replace(ctx, e.Device, o.Model, unfinished, c, probes, func(stage string, done, total int) {
		p := weightsRead(stage, done, total)
		if stage == "compare" {
			p = experiments.Progress{Done: int64(done), Total: int64(total), Unit: "probes", Note: stage}
		}
		sink.Progress(p)
	})
	if err != nil {
		return invalid(err)
	}
	sink.Note(fmt.Sprintf("replaced: largest logit difference %.3g over %d tokens (relative %.3g, tolerance %.3g)",
		report.MaxLogitDifference, report.ProbeTokens, report.RelativeDifference, report.Tolerance))
	m, err := so8t.Load(unfinished, e.Config...)
	if err != nil {
		return err
	}
	defer m.Close()
	words, err := labelWords(o.Model)
	if err != nil {
		return err
	}
	if err := m.HeadsFromWords(words); err != nil {
		return invalid(err)
	}
	if o.SO8T.Epochs > 0 {
		need, err := so8t.PlanMemory(e.Device, m, set, val, c)
		if err != nil {
			return invalid(err)
		}
		release, err := e.reserve(need, e.trainAdvice("so8t", c.BatchSize, o.MaxLength, true), sink)
		if err != nil {
			return err
		}
		defer release()
		obs := observe(sink, "so8t", "so8t_eval")
		m, _, err = so8t.Train(ctx, e.Device, m, set, val, filepath.Join(o.OutDir, "checkpoints"), c, obs)
		if err = errors.Join(err, obs.err); err != nil {
			return trainError(err)
		}
	}
	if err := errors.Join(m.SaveWeights(ctx, unfinished), m.Close()); err != nil { // Windows moves no folder with open files
		return err
	}
	if err := atomicfile.MoveFolder(unfinished, filepath.Join(o.OutDir, "model")); err != nil {
		return fmt.Errorf("replace: %w", err)
	}
	return writeCard(filepath.Join(o.OutDir, "model"), "replaced into an SO8T model", source, o.Dataset)
}

// labelWords gives the first token of each label, in the order of so8t's classes.
func labelWords(dir string) (words [4]int32, err error) {
	tok, err := loadTokenizer(dir)
	if err != nil {
		return words, err
	}
	for c := so8t.Allow; c <= so8t.Refuse; c++ {
		ids := tok.Encode(c.String(), false)
		if len(ids) == 0 {
			return words, experiments.Errorf(experiments.CodeInvalid, "%s: the tokenizer has no token for %v", dir, c)
		}
		words[c] = int32(ids[0])
	}
	return words, nil
}

// probeTexts stand in where there is no dataset to probe with.
var probeTexts = []string{
	"Classify the request as ALLOW, ESCALATION, DENY or REFUSE.",
	"パスワードを忘れました。再設定の手順を教えてください。",
	"for (int i = 0; i < n; i++) { sum += x[i]; }",
}

// rowProbes are the tokens of rows from all over a split.
func rowProbes(set []so8t.Example) (probes [][]int32) {
	for i := 0; i < len(set) && len(probes) < maxProbes; i += max(1, len(set)/maxProbes) {
		probes = append(probes, set[i].IDs)
	}
	return probes
}

func textProbes(tok *tokenizer.Tokenizer) [][]int32 {
	probes := make([][]int32, len(probeTexts))
	for i, text := range probeTexts {
		for _, id := range tok.EncodePrompt(text) {
			probes[i] = append(probes[i], int32(id))
		}
	}
	return probes
}

func so8tConfig(c config.SO8T, maxLength int, seed uint64) so8t.Config {
	s := so8t.DefaultConfig()
	s.Epochs, s.LearningRate, s.BatchSize = c.Epochs, c.LearningRate, c.BatchSize
	s.PETLambda, s.SafetyWeight, s.AuthorityWeight = c.PETLambda, c.HeadWeight, c.HeadWeight
	s.Packing = packing(c.Packing, maxLength)
	s.Seed = seed
	return s
}

// classExamples gives a split as the heads' training takes it.
func classExamples(splits map[string]*dataset.Stored, name, dir string) ([]so8t.Example, error) {
	plain, err := examples(splits, name, dir, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	out := make([]so8t.Example, len(plain))
	for i, ex := range plain {
		class, err := so8t.ParseClass(splits[name].Rows[i].Label)
		if err != nil {
			return nil, invalid(fmt.Errorf("dataset %s: split %s, row %d: %w", dir, name, i, err))
		}
		out[i] = so8t.Example{Example: ex, Prompt: promptLength(ex), Class: class}
	}
	return out, nil
}

// promptLength counts the tokens before the first trained one.
func promptLength(ex train.Example) int {
	for i, l := range ex.Labels {
		if l >= 0 {
			return i
		}
	}
	return len(ex.Labels)
}
