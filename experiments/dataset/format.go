package dataset

import (
	"strings"

	"triality/experiments"
)

// Encoder is what rendering needs of a tokenizer.
type Encoder interface {
	Encode(text string, addSpecial bool) []int
	EOS() int // -1 when there is none
	ChatTemplate() string
}

// Format renders rows as prompts. The answer follows the prompt directly.
type Format struct {
	name               string
	head, middle, tail string // head + instruction + middle + input + tail
}

// NewFormat gives the format of that name: instruction, chat or completion. chat is ChatML, and the
// tokenizer's template has to be a ChatML one; enc may be nil for the other two.
func NewFormat(name string, enc Encoder) (*Format, error) {
	switch name {
	case "instruction":
		return &Format{name, "### Instruction:\n", "\n\n### Input:\n", "\n\n### Response:\n"}, nil
	case "completion":
		return &Format{name, "", "\n", "\n"}, nil
	case "chat":
		if enc == nil || !strings.Contains(enc.ChatTemplate(), "<|im_start|>") {
			return nil, experiments.Errorf(experiments.CodeInvalid,
				"data.format_type: chat needs a tokenizer with a ChatML template (<|im_start|>); this one has none, use instruction or completion")
		}
		return &Format{name, "<|im_start|>system\n", "<|im_end|>\n<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"}, nil
	}
	return nil, experiments.Errorf(experiments.CodeInvalid, "data.format_type: want instruction, chat or completion, have %q", name)
}

// Prompt is the text before the answer.
func (f *Format) Prompt(r *Row) string { return f.head + r.Instruction + f.middle + r.Input + f.tail }

// Encoded is one row as token ids: the prompt's, then the answer's.
type Encoded struct {
	IDs    []int32
	Prompt int // length of the prompt in IDs
}

// Encode tokenizes a row to at most maxLength ids. A longer row loses the end of its input (or of its
// instruction when it has no input), never the answer; ok is false when even that does not fit.
func (f *Format) Encode(enc Encoder, r *Row, maxLength int) (e Encoded, ok bool) {
	answer := enc.Encode(r.Output, false)
	if eos := enc.EOS(); eos >= 0 {
		answer = append(answer, eos)
	}
	ids, ok := f.EncodePrompt(enc, r, maxLength-len(answer))
	if !ok {
		return Encoded{}, false
	}
	e = Encoded{IDs: ids, Prompt: len(ids)}
	for _, id := range answer {
		e.IDs = append(e.IDs, int32(id))
	}
	return e, true
}

// EncodePrompt tokenizes the prompt alone to at most limit ids, cut as by Encode.
func (f *Format) EncodePrompt(enc Encoder, r *Row, limit int) (ids []int32, ok bool) {
	prompt, ok := f.fit(enc, r, limit)
	for _, id := range prompt {
		ids = append(ids, int32(id))
	}
	return ids, ok
}

func (f *Format) fit(enc Encoder, r *Row, limit int) ([]int, bool) {
	prompt := enc.Encode(f.Prompt(r), true)
	if len(prompt) <= limit {
		return prompt, true
	}
	cut := *r
	body := &cut.Input
	if cut.Input == "" {
		body = &cut.Instruction
	}
	whole := []rune(*body)
	// The longest prefix of the body that fits, by bisection.
	low, high := 0, len(whole)
	var best []int
	for low <= high {
		mid := (low + high) / 2
		*body = string(whole[:mid])
		if p := enc.Encode(f.Prompt(&cut), true); len(p) <= limit {
			best, low = p, mid+1
		} else {
			high = mid - 1
		}
	}
	return best, best != nil
}
