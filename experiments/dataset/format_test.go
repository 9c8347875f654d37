package dataset

import (
	"slices"
	"strings"
	"testing"

	"triality/experiments"
)

// runes is an encoder of one token a rune, with a start and an end token where special.
type runes struct {
	special  bool
	eos      int
	template string
}

const chatML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

const (
	startToken = 1<<21 + iota
	endToken
)

func (e runes) Encode(text string, addSpecial bool) []int {
	if e.special && addSpecial {
		return append(e.EncodePrompt(text), endToken)
	}
	ids := []int{}
	for _, r := range text {
		ids = append(ids, int(r))
	}
	return ids
}

func (e runes) EncodePrompt(text string) []int {
	if e.special {
		return append([]int{startToken}, e.Encode(text, false)...)
	}
	return e.Encode(text, false)
}
func (e runes) EOS() int { return e.eos }
func (e runes) ChatTemplates() map[string]string {
	if e.template == "" {
		return nil
	}
	return map[string]string{"default": e.template}
}
func (e runes) SpecialTokens() map[string]string { return map[string]string{"eos_token": "\x03"} }

func decode(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		if id < startToken {
			b.WriteRune(id)
		}
	}
	return b.String()
}

func TestEachFormatHasItsPrompt(t *testing.T) {
	row := &Row{Instruction: "Do.", Input: "This", Output: "DENY"}
	chatML := runes{template: chatML}
	tests := []struct{ name, want string }{
		{"instruction", "### Instruction:\nDo.\n\n### Input:\nThis\n\n### Response:\n"},
		{"completion", "Do.\nThis\n"},
		{"chat", "<|im_start|>system\nDo.<|im_end|>\n<|im_start|>user\nThis<|im_end|>\n<|im_start|>assistant\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := NewFormat(tt.name, chatML)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := f.Prompt(row); err != nil || got != tt.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	for name, enc := range map[string]Encoder{"chat": runes{}, "alpaca": chatML} {
		if _, err := NewFormat(name, enc); err == nil || experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), "data.format_type") {
			t.Errorf("format %s: error %v", name, err)
		}
	}
}

func TestALongRowLosesTheEndOfItsInputAndNeverItsAnswer(t *testing.T) {
	f, err := NewFormat("completion", nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		row    Row
		enc    runes
		limit  int
		prompt string // "" when the row does not fit
	}{
		{"a row that fits is whole", Row{Instruction: "ab", Input: "cdef", Output: "OK"}, runes{eos: -1}, 10, "ab\ncdef\n"},
		{"one token too many costs one character", Row{Instruction: "ab", Input: "cdef", Output: "OK"}, runes{eos: -1}, 9, "ab\ncde\n"},
		{"the end token counts", Row{Instruction: "ab", Input: "cdef", Output: "OK"}, runes{eos: 5}, 9, "ab\ncd\n"},
		{"the end token counts where its id is 0", Row{Instruction: "ab", Input: "cdef", Output: "OK"}, runes{eos: 0}, 9, "ab\ncd\n"},
		{"the start token counts", Row{Instruction: "ab", Input: "cdef", Output: "OK"}, runes{eos: -1, special: true}, 9, "ab\ncd\n"},
		{"all of the input may go", Row{Instruction: "ab", Input: "cdef", Output: "OK"}, runes{eos: -1}, 6, "ab\n\n"},
		{"characters are not cut in two", Row{Instruction: "指示", Input: "漢字仮名", Output: "OK"}, runes{eos: -1}, 8, "指示\n漢字\n"},
		{"without input the instruction is cut", Row{Instruction: "abcdef", Output: "OK"}, runes{eos: -1}, 7, "abc\n\n"},
		{"what does not fit without input is refused", Row{Instruction: "ab", Input: "cdef", Output: "OK"}, runes{eos: -1}, 5, ""},
		{"an answer longer than the limit is refused", Row{Instruction: "ab", Input: "c", Output: "LONGER"}, runes{eos: -1}, 4, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, ok, err := f.Encode(tt.enc, &tt.row, tt.limit)
			if err != nil || ok != (tt.prompt != "") {
				t.Fatalf("ok = %v, ids %q", ok, decode(e.IDs))
			}
			if !ok {
				return
			}
			answer := e.IDs[e.Prompt:]
			if tt.enc.eos >= 0 {
				if int(answer[len(answer)-1]) != tt.enc.eos {
					t.Errorf("answer %v does not end with %d", answer, tt.enc.eos)
				}
				answer = answer[:len(answer)-1]
			}
			if len(e.IDs) > tt.limit || decode(e.IDs[:e.Prompt]) != tt.prompt || decode(answer) != tt.row.Output {
				t.Errorf("%d tokens, prompt %q, answer %q; want at most %d, %q, %q", len(e.IDs), decode(e.IDs[:e.Prompt]), decode(answer), tt.limit, tt.prompt, tt.row.Output)
			}
			// The prompt alone, as the A/B test asks for it, is the prompt that was trained on.
			alone, ok, err := f.EncodePrompt(tt.enc, &tt.row, tt.limit-(len(e.IDs)-e.Prompt))
			if err != nil || !ok || !slices.Equal(alone, e.IDs[:e.Prompt]) {
				t.Errorf("prompt alone %q, %v", decode(alone), ok)
			}
		})
	}
}

func TestNothingStandsBetweenAPromptAndItsAnswer(t *testing.T) {
	row := &Row{Instruction: "Do.", Input: "This", Output: "DENY"}
	for _, name := range []string{"instruction", "completion", "chat"} {
		t.Run(name, func(t *testing.T) {
			enc := runes{special: true, eos: 3, template: chatML} // a tokenizer that ends every text
			f, err := NewFormat(name, enc)
			if err != nil {
				t.Fatal(err)
			}
			whole, _, err := f.Encode(enc, row, 500)
			if err != nil {
				t.Fatal(err)
			}
			for _, limit := range []int{500, len(whole.IDs) - 2} { // whole, and cut
				e, ok, err := f.Encode(enc, row, limit)
				if err != nil || !ok {
					t.Fatalf("%v, fits %v", err, ok)
				}
				if slices.Contains(e.IDs, endToken) {
					t.Errorf("the tokenizer's end is in %v", e.IDs)
				}
				start := slices.Index(e.IDs, startToken)
				if name == "chat" && start >= 0 || name != "chat" && (start != 0 || slices.Contains(e.IDs[1:], startToken)) {
					t.Errorf("the tokenizer's start is at %d of %v", start, e.IDs)
				}
				alone, ok, err := f.EncodePrompt(enc, row, limit-len(e.IDs)+e.Prompt)
				if err != nil || !ok || !slices.Equal(alone, e.IDs[:e.Prompt]) {
					t.Errorf("what is asked is %v, what was trained on began with %v: %v", alone, e.IDs[:e.Prompt], err)
				}
			}
		})
	}
}
