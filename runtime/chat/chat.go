// Package chat turns messages into a model's prompt with the chat template of its tokenizer, as
// transformers' apply_chat_template does.
package chat

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"triality/runtime/chat/jinja"
)

// ErrNoTemplate is the error of New for a tokenizer without a chat template.
var ErrNoTemplate = errors.New("the tokenizer has no chat template (chat_template in tokenizer_config.json, or chat_template.jinja)")

// Tokenizer is what a template needs of a tokenizer; *tokenizer.Tokenizer is one.
type Tokenizer interface {
	ChatTemplates() map[string]string // by name
	SpecialTokens() map[string]string // by the names templates know: bos_token, eos_token, …
}

// Template renders messages. It is safe for concurrent use.
type Template struct {
	parsed *jinja.Template
	tokens map[string]string
}

// New parses a tokenizer's template of a name, "" for the default one.
func New(tok Tokenizer, name string) (*Template, error) {
	all := tok.ChatTemplates()
	source, ok := all[name]
	if name == "" {
		source, ok = all["default"]
	}
	switch {
	case len(all) == 0:
		return nil, ErrNoTemplate
	case !ok:
		return nil, fmt.Errorf("no chat template is named %q; the tokenizer has %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	}
	parsed, err := jinja.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	return &Template{parsed, tok.SpecialTokens()}, nil
}

// Options are what a template may look at beside the messages.
type Options struct {
	// AddGenerationPrompt ends the text where the assistant's words begin.
	AddGenerationPrompt bool
	// Now is the time that strftime_now tells. Where it is zero, templates find no strftime_now, so that
	// the text is the same on any day.
	Now time.Time
	// Vars are further variables, such as enable_thinking: nil, bool, int64, float64 or string.
	Vars map[string]any
}

// Render gives the text of messages. A template that calls raise_exception, that fails, or that does
// more than the bounds of package jinja allow, is an error with the template's line.
func (t *Template) Render(m Messages, o Options) (string, error) {
	vars := map[string]any{"tools": nil, "documents": nil}
	for name, spelling := range t.tokens {
		vars[name] = spelling
	}
	maps.Copy(vars, o.Vars)
	vars["messages"] = m.list
	vars["add_generation_prompt"] = o.AddGenerationPrompt
	vars["raise_exception"] = jinja.Func("raise_exception", raise)
	if !o.Now.IsZero() {
		vars["strftime_now"] = jinja.Func("strftime_now", func(args []any) (any, error) {
			if len(args) != 1 {
				return nil, errors.New("strftime_now wants a format")
			}
			format, ok := args[0].(string)
			if !ok {
				return nil, errors.New("strftime_now wants a format")
			}
			return strftime(o.Now, format)
		})
	}
	text, err := t.parsed.Render(vars)
	if err != nil {
		return "", fmt.Errorf("chat template: %w", err)
	}
	return text, nil
}

func raise(args []any) (any, error) {
	if len(args) == 1 {
		if text, ok := args[0].(string); ok {
			return nil, fmt.Errorf("the template refuses these messages: %s", text)
		}
	}
	return nil, errors.New("the template refuses these messages")
}

// Answer renders a conversation that ends with the assistant's answer. text[at:] is what the model has
// to say: what follows the prompt that Render gives for the messages before. A template under which
// that prompt is not the text's beginning is an error: what was trained would not be what is asked.
func (t *Template) Answer(before Messages, answer string, o Options) (text string, at int, err error) {
	o.AddGenerationPrompt = true
	prompt, err := t.Render(before, o)
	if err != nil {
		return "", 0, err
	}
	o.AddGenerationPrompt = false
	if text, err = t.Render(before.With(Message{"assistant", answer}), o); err != nil {
		return "", 0, err
	}
	if !strings.HasPrefix(text, prompt) {
		same := 0
		for same < min(len(text), len(prompt)) && text[same] == prompt[same] {
			same++
		}
		return "", 0, fmt.Errorf("chat template: a conversation does not begin with its prompt: after %d bytes the prompt goes on with %.40q, the conversation with %.40q", same, prompt[same:], text[same:])
	}
	return text, len(prompt), nil
}
