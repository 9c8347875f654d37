package dataset

import (
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/runtime/realdata"
	"triality/runtime/tokenizer"
)

func TestTheTokenizersTemplateSaysWhatAChatIs(t *testing.T) {
	row := &Row{Instruction: "Do.", Input: "This", Output: "DENY"}
	alone := &Row{Instruction: "Do.", Output: "DENY"}
	const noSystem = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}[{{ m.content }}]{% endfor %}{% if add_generation_prompt %}[{% endif %}"
	for name, c := range map[string]struct {
		template       string
		eos            int
		row            *Row
		prompt, answer string
	}{
		"system and user":                  {chatML, -1, row, "<|im_start|>system\nDo.<|im_end|>\n<|im_start|>user\nThis<|im_end|>\n<|im_start|>assistant\n", "DENY<|im_end|>\n"},
		"without input the user instructs": {chatML, -1, alone, "<|im_start|>user\nDo.<|im_end|>\n<|im_start|>assistant\n", "DENY<|im_end|>\n"},
		"a template without system":        {strings.ReplaceAll(noSystem, "[{% endif %}", "{% endif %}"), -1, row, "[Do.\n\nThis]", "[DENY]"},
		"a template that drops system":     {"{% for m in messages %}{% if m.role != 'system' %}[{{ m.content }}]{% endif %}{% endfor %}", -1, row, "[Do.\n\nThis]", "[DENY]"},
		"what follows the end goes":        {strings.Replace(chatML, "<|im_end|>\n", "{{ eos_token }}\n", 1), 3, row, "<|im_start|>system\nDo.\x03\n<|im_start|>user\nThis\x03\n<|im_start|>assistant\n", "DENY\x03"},
		"an end where there is none":       {"{% for m in messages %}{{ m.role }}:{{ m.content }} {% endfor %}", 3, row, "system:Do. user:This ", "assistant:DENY \x03"},
		"an end whose id is 0":             {"{% for m in messages %}{{ m.role }}:{{ m.content }} {% endfor %}", 0, row, "system:Do. user:This ", "assistant:DENY \x00"},
		"a thinking template answers":      {strings.Replace(chatML, "assistant\n", "assistant\n{% if enable_thinking %}<think>{% endif %}", 1), -1, alone, "<|im_start|>user\nDo.<|im_end|>\n<|im_start|>assistant\n", "DENY<|im_end|>\n"},
	} {
		t.Run(name, func(t *testing.T) {
			enc := runes{template: c.template, eos: c.eos, special: true}
			f, err := NewFormat("chat", enc)
			if err != nil {
				t.Fatal(err)
			}
			e, ok, err := f.Encode(enc, c.row, 500)
			if err != nil || !ok || decode(e.IDs[:e.Prompt]) != c.prompt || decode(e.IDs[e.Prompt:]) != c.answer || slices.Contains(e.IDs, startToken) {
				t.Errorf("prompt %q, answer %q, %v, %v", decode(e.IDs[:e.Prompt]), decode(e.IDs[e.Prompt:]), ok, err)
			}
			if p, err := f.Prompt(c.row); err != nil || p != c.prompt {
				t.Errorf("prompt %q, %v", p, err)
			}
			label, err := f.Answer(enc, "REFUSE")
			if want := c.answer[:strings.Index(c.answer, "DENY")] + "REFUSE"; err != nil || decode(label) != want {
				t.Errorf("label %q, %v, want %q", decode(label), err, want)
			}
			short, ok, err := f.Encode(enc, c.row, len(e.IDs)-2)
			if err != nil || !ok || len(short.IDs) != len(e.IDs)-2 || decode(short.IDs[short.Prompt:]) != c.answer {
				t.Errorf("shortened to %q, %v, %v", decode(short.IDs), ok, err)
			}
		})
	}
}

func TestAnEndIsFoundWhereverItStands(t *testing.T) {
	enc := runes{template: strings.Replace(chatML, "<|im_end|>\n", "{{ eos_token }}\n", 1), eos: 3}
	f, err := NewFormat("chat", enc)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := f.answer(enc, &Row{Instruction: "Do."}); err != nil || decode(ids) != "\x03" {
		t.Errorf("an answer of its end alone: %q, %v", decode(ids), err)
	}
	for _, tt := range []struct {
		ids  []int32
		want int
	}{{[]int32{7, 3}, 0}, {[]int32{7, 7, 3}, 1}, {[]int32{3, 7}, 1}, {[]int32{3}, -1}, {nil, -1}} {
		if at := lastIndex(tt.ids, 7); at != tt.want {
			t.Errorf("the last 7 of %v is at %d, want %d", tt.ids, at, tt.want)
		}
	}
	if ids, err := after(enc, "abc", 3); err != nil || len(ids) != 0 {
		t.Errorf("nothing after a text: %v, %v", ids, err)
	}
}

func TestATemplateThatCannotTrainIsRefused(t *testing.T) {
	for template, want := range map[string]string{
		"": "has no chat template",
		"{{ messages|length }}{{ messages[-1].content }}":                                             "does not begin with its prompt",
		"{{ raise_exception('never') }}":                                                              "never",
		"{% for m in messages %}{% if m.role != 'user' %}{{ m.content }}{% endif %}{% endfor %}":      "leaves out words",
		"{% for m in messages %}{% if m.role != 'assistant' %}{{ m.content }}{% endif %}{% endfor %}": "is not in the conversation",
		"{% include 'x' %}": "include",
		"{{ '":              "not closed",
	} {
		_, err := NewFormat("chat", runes{template: template})
		if err == nil || experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "data.format_type") {
			t.Errorf("%q: %v, want %q", template, err, want)
		}
	}
}

// joins makes one token of a line break and the letter after it.
type joins struct{ runes }

func (j joins) Encode(text string, special bool) []int {
	ids := j.runes.Encode(text, special)
	for i := 0; i+1 < len(ids); i++ {
		if ids[i] == '\n' && ids[i+1] == 'D' {
			ids = slices.Replace(ids, i, i+2, 7)
		}
	}
	return ids
}

func TestATokenOverTheBorderOfTheAnswerIsAnError(t *testing.T) {
	f, err := NewFormat("chat", runes{template: chatML})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = f.Encode(joins{runes{template: chatML}}, &Row{Instruction: "a", Output: "DENY"}, 100)
	if err == nil || !strings.Contains(err.Error(), "into one token") {
		t.Errorf("error %v", err)
	}
}

func TestRealTokenizersEncodeChats(t *testing.T) {
	for path, want := range map[string][2]string{
		"qwen3": {"<|im_start|>system\nJudge.<|im_end|>\n<|im_start|>user\nHow?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", "DENY<|im_end|>"},
		"phi35": {"<|system|>\nJudge.<|end|>\n<|user|>\nHow?<|end|>\n<|assistant|>\n", "DENY<|end|><|endoftext|>"}, // <|end|> takes the white space after it
	} {
		t.Run(path, func(t *testing.T) {
			tok, err := tokenizer.Load(realdata.Path(t, "tokenizers/"+path))
			if err != nil {
				t.Fatal(err)
			}
			f, err := NewFormat("chat", tok)
			if err != nil {
				t.Fatal(err)
			}
			row := &Row{Instruction: "Judge.", Input: "How?", Output: "DENY"}
			e, ok, err := f.Encode(tok, row, 200)
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
			whole, err := f.Text(row)
			if err != nil || !slices.Equal(int32s(tok.Encode(whole, false))[:len(e.IDs)], e.IDs) {
				t.Errorf("the ids are not those of %q", whole)
			}
			prompt, err := f.Prompt(row)
			if err != nil || prompt != want[0] || !slices.Equal(int32s(tok.Encode(prompt, false)), e.IDs[:e.Prompt]) {
				t.Errorf("prompt %q, %v", prompt, err)
			}
			var ids []int
			for _, id := range e.IDs {
				ids = append(ids, int(id))
			}
			if got := tok.Decode(ids, false); !strings.HasSuffix(got, want[1]) {
				t.Errorf("the row is %q", got)
			}
			answer, err := f.Answer(tok, "DENY")
			if err != nil || !slices.Equal(answer, e.IDs[e.Prompt:][:len(answer)]) || len(answer) == 0 {
				t.Errorf("the label is %v, the row's answer %v (%v)", answer, e.IDs[e.Prompt:], err)
			}
		})
	}
}
