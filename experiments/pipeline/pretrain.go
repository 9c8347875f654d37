package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
	"triality/runtime/model"
	"triality/runtime/safetensors"
	"triality/runtime/tokenizer"
	"triality/runtime/train"
)

// endOfText is the special token of the tokenizers made here: it ends a document and an answer.
const endOfText = "<|endoftext|>"

// PretrainText reads documents to train a base model on: the paragraphs of a .txt file, or the
// prompts of a .jsonl file in the row schema, without their answers. Its bad lines are skipped and told, or with strict
// refused.
func PretrainText(ctx context.Context, path, format string, strict bool, tell Teller) ([]string, error) {
	if filepath.Ext(path) == ".jsonl" {
		rows, err := dataset.Read(ctx, path, strict, tell)
		if err != nil {
			return nil, err
		}
		refs := make([]*dataset.Row, len(rows.Rows))
		for i := range rows.Rows {
			refs[i] = &rows.Rows[i]
		}
		return prompts(refs, format)
	}
	text, err := dataset.ReadText(path)
	if err != nil {
		return nil, fmt.Errorf("pre-training text: %w", err)
	}
	var docs []string
	for doc := range strings.SplitSeq(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n\n") {
		if doc = strings.TrimSpace(doc); doc != "" {
			docs = append(docs, doc)
		}
	}
	if len(docs) == 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "pre-training text: %s is empty", path)
	}
	return docs, nil
}

// prompts renders rows without their answers.
func prompts(rows []*dataset.Row, format string) ([]string, error) {
	if format == "chat" {
		format = "instruction" // a base model made here has no chat template
	}
	f, err := dataset.NewFormat(format, nil)
	if err != nil {
		return nil, err
	}
	docs := make([]string, len(rows))
	for i, r := range rows {
		if docs[i], err = f.Prompt(r); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// PretrainOptions configures Pretrain.
type PretrainOptions struct {
	ModelDir  string // a model in Hugging Face form, trained or fresh
	OutDir    string // gets the trained model
	WorkDir   string // checkpoints; the caller may delete it afterwards
	Docs      []string
	MaxLength int // tokens a document; a longer one is cut into pieces
	Create    config.Create
	Seed      uint64
}

// Pretrain trains every weight of a model to predict each document's next token and its end.
func (e *Engine) Pretrain(ctx context.Context, o PretrainOptions, sink Sink) error {
	unclaim, err := claim(o.WorkDir)
	if err != nil {
		return err
	}
	defer unclaim()
	cfg, err := model.LoadConfig(o.ModelDir, e.Config...)
	if err != nil {
		return invalid(err)
	}
	params, err := model.OpenFolder(o.ModelDir, cfg)
	if err != nil {
		return invalid(err)
	}
	defer params.Close()
	tok, err := loadTokenizer(o.ModelDir)
	if err != nil {
		return err
	}
	examples := documents(tok, o.Docs, min(o.MaxLength, cfg.MaxPositions))
	opt := train.DefaultOptions()
	opt.Epochs, opt.BatchSize, opt.LearningRate = o.Create.Epochs, o.Create.BatchSize, o.Create.LearningRate
	opt.Scheduler, opt.WarmupRatio, opt.MaxGradNorm = "cosine", 0.05, 1
	opt.LoggingSteps, opt.Seed, opt.CheckpointInterval = 10, o.Seed, 5*time.Minute
	sink.Note(fmt.Sprintf("pre-training %s parameters on %s", thousands(model.Elements(params)), plural(len(examples), "document")))
	need, err := train.PlanMemory(e.Device, cfg, params, examples, nil, opt)
	if err != nil {
		return invalid(err)
	}
	release, err := e.reserve(need, e.trainAdvice("model.create", opt.BatchSize, o.MaxLength, false), sink)
	if err != nil {
		return err
	}
	defer release()
	obs := observe(sink, "pretrain", "pretrain_eval")
	result, err := train.Run(ctx, e.Device, cfg, params, examples, nil, o.WorkDir, opt, obs)
	if err = errors.Join(err, obs.err); err != nil {
		return trainError(err)
	}
	return writeModel(ctx, o.OutDir, o.ModelDir, cfg, result.Params, safetensors.F32)
}

// documents tokenizes texts, each followed by the end token, in pieces of at most max tokens; every
// token is trained on.
func documents(tok *tokenizer.Tokenizer, docs []string, max int) []train.Example {
	var out []train.Example
	for _, d := range docs {
		ids := tok.EncodePrompt(d)
		if eos := tok.EOS(); eos >= 0 {
			ids = append(ids, eos)
		}
		for piece := range slices.Chunk(ids, max) {
			ex := train.Example{IDs: make([]int32, len(piece))}
			for i, id := range piece {
				ex.IDs[i] = int32(id)
			}
			ex.Labels = ex.IDs
			if len(piece) > 1 {
				out = append(out, ex)
			}
		}
	}
	return out
}

// createBase makes the base model of a configuration in dir: tokenizer, fresh weights, pre-training.
func (e *Engine) createBase(ctx context.Context, dir string, c config.Create, docs []string, maxLength int, seed uint64, sink Sink) error {
	work := baseWork(dir)
	fresh := filepath.Join(work, "fresh")
	if !exists(filepath.Join(fresh, model.ConfigFile)) {
		if err := InitModel(fresh, "llama", c.Shape, c.VocabSize, docs, seed); err != nil {
			return err
		}
	}
	o := PretrainOptions{ModelDir: fresh, OutDir: dir, WorkDir: filepath.Join(work, "checkpoints"), Docs: docs, MaxLength: maxLength, Create: c, Seed: seed}
	if c.Epochs == 0 {
		if err := atomicfile.MoveFolder(fresh, dir); err != nil {
			return fmt.Errorf("create base model: %w", err)
		}
	} else if err := e.Pretrain(ctx, o, sink); err != nil {
		return err
	}
	return disk.RemoveAll(work)
}

// baseWork is where a base model is made before its folder gets it.
func baseWork(dir string) string { return dir + ".training" }

// trainError gives a trainer's error a code where a caller decides on it.
func trainError(err error) error {
	switch {
	case errors.Is(err, train.ErrInterrupted): // says itself how to go on
		return experiments.Errorf(experiments.CodeUnavailable, "%w", err)
	case errors.Is(err, context.Canceled):
		return experiments.Errorf(experiments.CodeUnavailable, "%w; the same command resumes", err)
	case errors.Is(err, train.ErrNothingTrained), errors.Is(err, train.ErrNotFinite), errors.Is(err, train.ErrOtherRun):
		return invalid(err)
	}
	return err
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
