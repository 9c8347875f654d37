package dataset

import (
	"fmt"
	"slices"
	"strings"

	"triality/experiments"
	"triality/runtime/chat"
)

// Encoder is what rendering needs of a tokenizer.
type Encoder interface {
	Encode(text string, addSpecial bool) []int
	EncodePrompt(text string) []int // with what the tokenizer puts before a text, without what it puts after one
	EOS() int                       // -1 when there is none
	chat.Tokenizer
}

// Format renders rows as prompts. The answer follows the prompt directly.
type Format struct {
	name               string
	head, middle, tail string         // head + instruction + middle + input + tail
	template           *chat.Template // of the format chat, instead
	noSystem           bool           // which refuses system messages
}

// NewFormat gives the format of that name: instruction, chat or completion. chat is the tokenizer's
// chat template: the instruction is the system message, the input the user's; where the template
// refuses or drops system messages, or a row has no input, the user says both. enc may be nil for the other two.
func NewFormat(name string, enc Encoder) (*Format, error) {
	switch name {
	case "instruction":
		return &Format{name: name, head: "### Instruction:\n", middle: "\n\n### Input:\n", tail: "\n\n### Response:\n"}, nil
	case "completion":
		return &Format{name: name, middle: "\n", tail: "\n"}, nil
	case "chat":
		f := &Format{name: name}
		if enc == nil {
			return nil, chatError(chat.ErrNoTemplate)
		}
		var err error
		if f.template, err = chat.New(enc, ""); err != nil {
			return nil, chatError(err)
		}
		if err = f.probe(); err == nil {
			return f, nil
		}
		f.noSystem = true
		if f.probe() != nil {
			return nil, chatError(err)
		}
		return f, nil
	}
	return nil, experiments.Errorf(experiments.CodeInvalid, "data.format_type: want instruction, chat or completion, have %q", name)
}

// probe renders a row and looks for its words: some templates drop a system message and say nothing.
func (f *Format) probe() error {
	r := &Row{Instruction: "an instruction of ours", Input: "the input to judge", Output: "DENY"}
	text, at, err := f.conversation(r)
	if err != nil {
		return err
	}
	for _, words := range []string{r.Instruction, r.Input} {
		if !strings.Contains(text[:at], words) {
			return fmt.Errorf("the template leaves out words of the messages: its prompt is %.200q", text[:at])
		}
	}
	_, err = afterLast(text[at:], r.Output)
	return err
}

func chatError(err error) error {
	return experiments.Errorf(experiments.CodeInvalid, "data.format_type: chat: %w; instruction and completion need no template", err)
}

// chatOptions make an answer begin with its first word under templates that would think first, and the
// same row the same prompt on any day.
var chatOptions = chat.Options{Vars: map[string]any{"enable_thinking": false}}

func (f *Format) messages(r *Row) chat.Messages {
	switch {
	case r.Input == "":
		return chat.NewMessages(chat.Message{Role: "user", Content: r.Instruction})
	case f.noSystem:
		return chat.NewMessages(chat.Message{Role: "user", Content: r.Instruction + "\n\n" + r.Input})
	}
	return chat.NewMessages(chat.Message{Role: "system", Content: r.Instruction}, chat.Message{Role: "user", Content: r.Input})
}

// conversation is the template's text of a row with its answer, which begins at a byte.
func (f *Format) conversation(r *Row) (text string, at int, err error) {
	return f.template.Answer(f.messages(r), r.Output, chatOptions)
}

// Prompt is the text before the answer.
func (f *Format) Prompt(r *Row) (string, error) {
	if f.template == nil {
		return f.head + r.Instruction + f.middle + r.Input + f.tail, nil
	}
	o := chatOptions
	o.AddGenerationPrompt = true
	return f.template.Render(f.messages(r), o)
}

// Text is the prompt and the answer.
func (f *Format) Text(r *Row) (string, error) {
	if f.template != nil {
		text, _, err := f.conversation(r)
		return text, err
	}
	p, err := f.Prompt(r)
	return p + r.Output, err
}

// Encoded is one row as token ids: the prompt's, then the answer's.
type Encoded struct {
	IDs    []int32
	Prompt int // length of the prompt in IDs
}

// Encode tokenizes a row to at most maxLength ids. A longer row loses the end of its input (or of its
// instruction when it has no input), never the answer; ok is false when even that does not fit.
func (f *Format) Encode(enc Encoder, r *Row, maxLength int) (e Encoded, ok bool, err error) {
	answer, err := f.answer(enc, r)
	if err != nil {
		return Encoded{}, false, err
	}
	ids, ok, err := f.EncodePrompt(enc, r, maxLength-len(answer))
	if !ok || err != nil {
		return Encoded{}, false, err
	}
	return Encoded{IDs: append(ids, answer...), Prompt: len(ids)}, true, nil
}

// answer is a row's answer with its end.
func (f *Format) answer(enc Encoder, r *Row) ([]int32, error) {
	if f.template == nil {
		answer := enc.Encode(r.Output, false)
		if eos := enc.EOS(); eos >= 0 {
			answer = append(answer, eos)
		}
		return int32s(answer), nil
	}
	text, at, err := f.conversation(r)
	if err != nil {
		return nil, err
	}
	answer, err := after(enc, text, at)
	if err != nil {
		return nil, err
	}
	end, err := afterLast(text[at:], strings.TrimSpace(r.Output))
	if err != nil {
		return nil, err
	}
	eos := int32(enc.EOS())
	switch last := lastIndex(answer, eos); {
	case eos < 0:
	case last >= 0: // what the template writes behind the end is not the model's to say
		answer = answer[:last+1]
	case strings.TrimSpace(text[at+end:]) == "":
		answer = append(answer, eos)
	}
	return answer, nil
}

func lastIndex(ids []int32, id int32) int {
	for i := len(ids) - 1; i >= 0; i-- {
		if ids[i] == id {
			return i
		}
	}
	return -1
}

// after tokenizes a text and gives the ids from a byte on.
func after(enc Encoder, text string, at int) ([]int32, error) {
	whole, prompt := enc.Encode(text, false), enc.Encode(text[:at], false)
	if len(prompt) > len(whole) || !slices.Equal(whole[:len(prompt)], prompt) {
		return nil, experiments.Errorf(experiments.CodeInvalid,
			"data.format_type: chat: the tokenizer joins the end of the prompt %.20q with the answer's start %.20q into one token; use instruction or completion", text[max(0, at-20):at], text[at:])
	}
	return int32s(whole[len(prompt):]), nil
}

// Answer is a label as the continuation of any prompt, without its end.
func (f *Format) Answer(enc Encoder, label string) ([]int32, error) {
	if f.template == nil {
		return int32s(enc.Encode(label, false)), nil
	}
	text, at, err := f.conversation(&Row{Instruction: "instruction", Input: "input", Output: label})
	if err != nil {
		return nil, err
	}
	end, err := afterLast(text[at:], label)
	if err != nil {
		return nil, err
	}
	return after(enc, text[:at+end], at)
}

// afterLast is where the last answer in text ends.
func afterLast(text, answer string) (int, error) {
	i := strings.LastIndex(text, answer)
	if i < 0 {
		return 0, fmt.Errorf("chat template: the answer %q is not in the conversation that it ends: %.80q", answer, text)
	}
	return i + len(answer), nil
}

// EncodePrompt tokenizes the prompt alone to at most limit ids, cut as by Encode.
func (f *Format) EncodePrompt(enc Encoder, r *Row, limit int) (ids []int32, ok bool, err error) {
	encode := func(r *Row) ([]int32, bool, error) {
		text, err := f.Prompt(r)
		if err != nil {
			return nil, false, err
		}
		ids := enc.EncodePrompt(text)
		if f.template != nil { // which writes the tokens around its text itself
			ids = enc.Encode(text, false)
		}
		return int32s(ids), len(ids) <= limit, nil
	}
	if ids, ok, err = encode(r); ok || err != nil {
		return ids, ok, err
	}
	cut := *r
	body := &cut.Input
	if cut.Input == "" {
		body = &cut.Instruction
	}
	whole := []rune(*body)
	// The longest prefix of the body that fits, by bisection. A chat keeps a character of its input: its
	// messages are others without one.
	low, high := 0, len(whole)
	if f.template != nil {
		low = 1
	}
	var best []int32
	for low <= high {
		mid := (low + high) / 2
		*body = string(whole[:mid])
		ids, fits, err := encode(&cut)
		if err != nil {
			return nil, false, err
		}
		if fits {
			best, low = ids, mid+1
		} else {
			high = mid - 1
		}
	}
	return best, best != nil, nil
}

func int32s(ids []int) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
