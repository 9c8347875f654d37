package chat

import (
	"errors"
	"strings"
	"testing"
	"time"

	"triality/runtime/realdata"
	"triality/runtime/tokenizer"
)

// fake is a tokenizer with one template, or more.
type fake map[string]string

func (f fake) ChatTemplates() map[string]string { return f }
func (fake) SpecialTokens() map[string]string {
	return map[string]string{"bos_token": "<s>", "eos_token": "</s>"}
}

func TestMessagesBecomeThePromptOfTheTemplate(t *testing.T) {
	now := time.Date(2024, 7, 6, 17, 5, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		template string
		o        Options
		want     string
	}{
		"tokens and messages":     {"{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}", Options{}, "<s>system:S</s>user:日本</s>"},
		"no pad token":            {"{{ pad_token is defined }}", Options{}, "False"},
		"tools are none":          {"{{ tools is none and documents is none and tools is defined }}", Options{}, "True"},
		"with a prompt":           {"{% if add_generation_prompt %}A:{% endif %}", Options{AddGenerationPrompt: true}, "A:"},
		"without one":             {"{% if add_generation_prompt %}A:{% endif %}", Options{}, ""},
		"further variables":       {"{{ enable_thinking is defined and not enable_thinking }}", Options{Vars: map[string]any{"enable_thinking": false}}, "True"},
		"a day":                   {"{{ strftime_now('%d %b %Y, %H:%M %p %A %j %%') }}", Options{Now: now}, "06 Jul 2024, 17:05 PM Saturday 188 %"},
		"without a day none told": {"{{ strftime_now is defined }}", Options{}, "False"},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl, err := New(fake{"default": c.template}, "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := tmpl.Render(NewMessages(Message{"system", "S"}, Message{"user", "日本"}), c.o)
			if err != nil || got != c.want {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestATemplateIsChosenByName(t *testing.T) {
	tok := fake{"default": "D", "tool_use": "T"}
	for name, want := range map[string]string{"": "D", "default": "D", "tool_use": "T"} {
		tmpl, err := New(tok, name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tmpl.Render(Messages{}, Options{}); err != nil || got != want {
			t.Errorf("%q gives %q, %v", name, got, err)
		}
	}
	if _, err := New(tok, "rag"); err == nil || !strings.Contains(err.Error(), "default, tool_use") {
		t.Errorf("another name: %v", err)
	}
	if _, err := New(fake{}, ""); !errors.Is(err, ErrNoTemplate) {
		t.Errorf("no template: %v", err)
	}
}

func TestFailuresNameTheirReason(t *testing.T) {
	for template, want := range map[string]string{
		"\n{{ raise_exception('roles must alternate') }}": "line 2: the template refuses these messages: roles must alternate",
		"{{ messages[0].content + 1 }}":                   "cannot apply + to a value of type str and a value of type int",
		"{% include 'x' %}":                               "include",
		"{{ strftime_now('%c') }}":                        "%c is not supported",
	} {
		tmpl, err := New(fake{"default": template}, "")
		if err == nil {
			_, err = tmpl.Render(NewMessages(Message{"user", "a"}), Options{Now: time.Unix(0, 0)})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", template, err, want)
		}
	}
}

func TestTheAnswerIsWhatFollowsThePrompt(t *testing.T) {
	const chatML = "{% for m in messages %}{{ '<' + m.role + '>' + m.content + '</>' }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
	ask := NewMessages(Message{"user", "q"})
	for name, c := range map[string]struct{ template, answer string }{
		"ChatML":               {chatML, "ok</>"},
		"an end of the text":   {strings.Replace(chatML, "{% endif %}", "{% else %}{{ eos_token }}{% endif %}", 1), "ok</></s>"},
		"no generation prompt": {"{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]{% else %} {{ m.content }} {% endif %}{% endfor %}", " ok "},
	} {
		tmpl, err := New(fake{"default": c.template}, "")
		if err != nil {
			t.Fatal(err)
		}
		text, at, err := tmpl.Answer(ask, "ok", Options{})
		prompt, _ := tmpl.Render(ask, Options{AddGenerationPrompt: true})
		if err != nil || text[at:] != c.answer || text[:at] != prompt {
			t.Errorf("%s: %q from %d, %v", name, text, at, err)
		}
	}
	tmpl, err := New(fake{"default": "{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}"}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := tmpl.Answer(ask, "ok", Options{}); err == nil || !strings.Contains(err.Error(), "does not begin with its prompt: after 0 bytes") {
		t.Errorf("a template that counts messages: %v", err)
	}
	if ask.Len() != 1 {
		t.Error("the messages have changed")
	}
}

func TestRealTemplatesAskAndAnswer(t *testing.T) {
	for path, want := range map[string][2]string{
		"qwen3": {"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", "DENY<|im_end|>\n"},
		"phi35": {"<|user|>\nHi<|end|>\n<|assistant|>\n", "DENY<|end|>\n<|endoftext|>"},
	} {
		tok, err := tokenizer.Load(realdata.Path(t, "tokenizers/"+path))
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := New(tok, "")
		if err != nil {
			t.Fatal(err)
		}
		text, at, err := tmpl.Answer(NewMessages(Message{"user", "Hi"}), "DENY", Options{Vars: map[string]any{"enable_thinking": false}})
		if err != nil || text[:at] != want[0] || text[at:] != want[1] {
			t.Errorf("%s: %q, then %q (%v)", path, text[:at], text[at:], err)
		}
	}
}

func TestMessagesThatAreNoneAreRefused(t *testing.T) {
	for raw, want := range map[string]string{
		`{"role": "user"}`:            "want a JSON list",
		`[1]`:                         "messages[0]",
		`[{"content": "a"}]`:          "messages[0]: role",
		`[{"role": 1}]`:               "messages[0]: role",
		`[{"role": "user"}`:           "EOF",
		`[{"role": "user"}] x`:        "messages:",
		`[{"role":"user","n":1e999}]`: "too large",
	} {
		if _, err := ParseMessages([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
	m, err := ParseMessages([]byte(`[{"role": "user", "content": [{"type": "text", "text": "a"}]}]`))
	if err != nil || m.Len() != 1 {
		t.Errorf("%v, %v", m, err)
	}
}
