package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/runtime/generate"
	"triality/runtime/so8t"
	"triality/runtime/tokenizer"
	"triality/runtime/train"
)

// JudgeOptions configure OpenJudge.
type JudgeOptions struct {
	Format    string // of the prompts: instruction, chat or completion; empty: chat where the model has a template, else instruction
	MaxLength int    // tokens of a prompt and its label
	MaxNew    int    // tokens of a text at most
	// Judging gives the instruction under which a query is judged; it should be the one that the model was trained on.
	Judging func(query string) string
	// Writing is the instruction under which a text is written.
	Writing string
}

// Judge is a model that judges queries as an arm of an A/B test judges rows, and writes texts. One goroutine at a time
// may use it.
type Judge struct {
	arm     *arm
	options JudgeOptions
	marks   map[int]bool // ids of tokens that are not text
	release func()
}

// Judgement is what a model says of a query.
type Judgement struct {
	Verdict string             // one of experiments.Labels
	Scores  map[string]float64 // probability of each
	Heads   *JudgedByHeads     // nil for a model without heads
}

// JudgedByHeads is what an SO8T model's two heads say. It is measured beside the verdict and decides nothing.
type JudgedByHeads struct {
	Safety    [2]float64 // probability of safe, unsafe
	Authority [2]float64 // of handle, escalate
	Verdict   string     // of their product
}

// CheckJudge reads of a model everything but its weights.
func CheckJudge(source Source, o JudgeOptions, e *Engine) error {
	_, err := judgingArm(source, o, e)
	return err
}

// judgingArm is newArm, where no format is asked for with the model's chat template, or without one as an instruction.
func judgingArm(source Source, o JudgeOptions, e *Engine) (*arm, error) {
	if o.Format != "" {
		return newArm(source, o.Format, o.MaxLength, e.Config...)
	}
	if a, err := newArm(source, "chat", o.MaxLength, e.Config...); err == nil {
		return a, nil
	}
	return newArm(source, "instruction", o.MaxLength, e.Config...)
}

// mute is a sink of what nobody waits for.
type mute struct{}

func (mute) Progress(experiments.Progress)         {}
func (mute) Metrics(experiments.MetricBatch) error { return nil }
func (mute) Note(string)                           {}

// OpenJudge loads a model for as long as the judge is open. What it takes of memory is planned, with the longest prompt and
// text, and refused where there is less.
func (e *Engine) OpenJudge(source Source, o JudgeOptions) (*Judge, error) {
	a, err := judgingArm(source, o, e)
	if err != nil {
		return nil, err
	}
	if a.limit < 1 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "model %s: a prompt of %d tokens leaves no room for a label", a.name, o.MaxLength)
	}
	// Two prompts of the greatest length that have nothing in common stand for all that may come.
	one, other := make([]int32, a.limit), make([]int32, a.limit)
	other[0] = 1
	a.prompts = [][]int32{one, other}
	need, err := e.planAnswers([]*arm{a}, nil, config.Generate{MaxNewTokens: o.MaxNew, BatchSize: 1})
	if err != nil {
		return nil, err
	}
	how := advice{train.SharedWeights: {"take a smaller model"}, train.SharedActivations: {fmt.Sprintf("lower the longest prompt (%d tokens) or text (%d)", o.MaxLength, o.MaxNew)}}
	release, err := e.reserve(need, how, mute{})
	if err != nil {
		return nil, err
	}
	a.prompts = nil
	if err := a.load(e.Device, e.Storage, e.Config...); err != nil {
		release()
		return nil, errors.Join(err, a.close())
	}
	return &Judge{arm: a, options: o, marks: marksOf(a.tok), release: release}, nil
}

// marksOf are the special tokens, and those that are written as marks are.
func marksOf(tok *tokenizer.Tokenizer) map[int]bool {
	out := map[int]bool{}
	for _, t := range tok.AddedTokens() {
		if t.Special || strings.HasPrefix(t.Content, "<") && strings.HasSuffix(t.Content, ">") {
			out[t.ID] = true
		}
	}
	return out
}

// ModelHash is the SHA-256 of a model folder's files.
func ModelHash(dir string) (string, error) { return hashModel(dir) }

// Close frees the model.
func (j *Judge) Close() error {
	defer j.release()
	return j.arm.close()
}

// prompt is that of a query, whole: a judgement on a part of it would leave the rest unjudged. A query cannot write the tokens
// by which the model tells who speaks.
func (j *Judge) prompt(query, instruction string, room int) ([]int32, error) {
	for _, id := range j.arm.tok.Encode(query, false) {
		if j.marks[id] {
			return nil, experiments.Errorf(experiments.CodeInvalid, "query: it has %q, which the model takes as a mark and not as text: leave it out", j.arm.tok.Token(id))
		}
	}
	ids, _, err := j.arm.format.EncodePrompt(j.arm.tok, &dataset.Row{Instruction: instruction, Input: query}, math.MaxInt)
	if err != nil {
		return nil, invalid(fmt.Errorf("model %s: the query cannot be put into its prompt", j.arm.name)) // not err, which may quote it
	}
	if len(ids) > room || len(ids) == 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "query: its prompt has %d tokens, the model takes %d: shorten it", len(ids), max(0, room))
	}
	return ids, nil
}

// Judge judges a query.
func (j *Judge) Judge(ctx context.Context, query string) (Judgement, error) {
	ids, err := j.prompt(query, j.options.Judging(query), j.arm.limit)
	if err != nil {
		return Judgement{}, err
	}
	got, err := j.arm.classify(ctx, ids)
	if err != nil {
		return Judgement{}, err
	}
	out := Judgement{Verdict: experiments.Labels[strictest(got.probability)], Scores: map[string]float64{}}
	for i, label := range experiments.Labels {
		out.Scores[label] = got.probability[i]
	}
	if j.arm.heads != nil {
		v, err := j.arm.heads.Classify(ctx, ids)
		if err != nil {
			return out, err
		}
		out.Heads = judgedByHeads(v)
	}
	return out, nil
}

// strictest is the index of the greatest; of equals the last, since the labels go from ALLOW to REFUSE.
func strictest(p []float64) int {
	best := 0
	for i, v := range p {
		if v >= p[best] {
			best = i
		}
	}
	return best
}

func judgedByHeads(v so8t.Verdict) *JudgedByHeads {
	h := &JudgedByHeads{Verdict: experiments.Labels[v.Class()]}
	for i := range 2 {
		h.Safety[i], h.Authority[i] = float64(v.Safety[i]), float64(v.Authority[i])
	}
	return h
}

// Drawing is how the tokens of a text are chosen.
type Drawing struct {
	MaxNew            int
	Temperature, TopP float64
	Seed              uint64
}

// Write writes a text for a query; emit gets it in pieces. The tags of sections are text, whether or not they are tokens of
// their own.
func (j *Judge) Write(ctx context.Context, query string, d Drawing, emit func(string)) error {
	ids, err := j.prompt(query, j.options.Writing, min(j.arm.limit, j.arm.positions-1))
	if err != nil {
		return err
	}
	_, err = j.arm.engine.GenerateBatch(ctx, []generate.Request{{
		Prompt: ids, MaxNew: min(d.MaxNew, j.options.MaxNew), End: j.arm.end, Decoder: j.arm.tok.NewDecoder(false), Emit: emit,
		Sampling: generate.Sampling{Temperature: d.Temperature, TopP: d.TopP, Seed: d.Seed},
	}}, 1)
	return err
}
