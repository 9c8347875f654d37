package generate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Decoder turns ids into text one by one. Add gives the text that is final with an id, Flush what is
// left at the end. A tokenizer.Decoder is one.
type Decoder interface {
	Add(id int) string
	Flush() string
}

// Request asks for one text.
type Request struct {
	Prompt   []int32
	MaxNew   int     // tokens at most; the end of the model's positions may come before
	End      []int32 // ids that end the text and are not part of it
	Sampling Sampling

	// LogProbs asks for Result.LogProbs.
	LogProbs bool

	// Decoder, fresh, makes the text; without one there is no text, only ids.
	Decoder Decoder
	// Stop are strings that end the text and are not part of it, wherever the borders of tokens lie.
	Stop []string
	// Emit, where not nil, gets the text in pieces as it becomes final. Joined they are Result.Text.
	Emit func(text string)
}

// Finish says why a text ended.
type Finish string

const (
	FinishEnd    Finish = "end"    // one of the end ids
	FinishStop   Finish = "stop"   // a stop string
	FinishLength Finish = "length" // MaxNew tokens, or the model's last position
)

// Result is a text.
type Result struct {
	IDs    []int32 // of the new tokens, those of a stop string included, an end id not
	Text   string
	Finish Finish
	// LogProbs, where asked for, are the natural logarithms of the probabilities that the model gives each
	// of IDs after what is before it, whatever the sampling makes of them.
	LogProbs []float64
}

func (r *Request) check(e *Engine) error {
	if err := e.check("the prompt", r.Prompt, 0); err != nil {
		return err
	}
	if err := r.Sampling.Check(); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	if slices.Contains(r.Stop, "") {
		return errors.New("generate: an empty stop string would end every text before it starts")
	}
	if r.Decoder == nil && (len(r.Stop) > 0 || r.Emit != nil) {
		return errors.New("generate: stop strings and streaming need a decoder")
	}
	return nil
}

// sequence is a text being made.
type sequence struct {
	req    Request
	left   int // tokens that may still come
	sample *sampler
	out    Result
	text   strings.Builder
	cut    cutter
	raw    []float32 // the model's own logits, where log-probabilities are wanted
}

func newSequence(r Request, positions int) *sequence {
	return &sequence{
		req: r, left: min(r.MaxNew, positions-len(r.Prompt)), sample: newSampler(r.Sampling, r.Prompt), cut: cutter{stop: r.Stop},
	}
}

// length is the number of tokens, the prompt's included.
func (s *sequence) length() int { return len(s.req.Prompt) + len(s.out.IDs) }

// at is the token at a position.
func (s *sequence) at(i int) int32 {
	if i < len(s.req.Prompt) {
		return s.req.Prompt[i]
	}
	return s.out.IDs[i-len(s.req.Prompt)]
}

// accept chooses the next token from its logits. out.Finish is set when it was the last.
func (s *sequence) accept(logits []float32) error {
	if s.req.LogProbs {
		s.raw = append(s.raw[:0], logits...) // sampling changes them
	}
	id, err := s.sample.next(logits, s.length())
	if err != nil {
		return err
	}
	if slices.Contains(s.req.End, id) {
		s.finish(FinishEnd)
		return nil
	}
	s.out.IDs = append(s.out.IDs, id)
	if s.req.LogProbs {
		s.out.LogProbs = append(s.out.LogProbs, logProb(s.raw, id))
	}
	s.left--
	if s.req.Decoder != nil {
		s.say(s.cut.push(s.req.Decoder.Add(int(id))))
	}
	switch {
	case s.cut.done:
		s.finish(FinishStop)
	case s.left == 0:
		s.finish(FinishLength)
	}
	return nil
}

func (s *sequence) finish(why Finish) {
	if s.req.Decoder != nil && !s.cut.done {
		s.say(s.cut.push(s.req.Decoder.Flush()))
		if s.cut.done {
			why = FinishStop
		}
		s.say(s.cut.flush())
	}
	s.out.Finish, s.out.Text, s.raw = why, s.text.String(), nil
}

// logProb is the natural logarithm of the softmax of logits at id, summed in float64.
func logProb(logits []float32, id int32) float64 {
	top := slices.Max(logits)
	sum := 0.0
	for _, x := range logits {
		sum += weight(x, top)
	}
	return float64(logits[id]) - float64(top) - math.Log(sum)
}

func (s *sequence) say(text string) {
	if text == "" {
		return
	}
	s.text.WriteString(text)
	if s.req.Emit != nil {
		s.req.Emit(text)
	}
}
