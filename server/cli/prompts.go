package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"triality/experiments/dataset"
	"triality/runtime/chat"
	"triality/runtime/disk"
	"triality/runtime/generate"
	"triality/runtime/tokenizer"
)

// request is a prompt's request; chat says that a template made the prompt.
type request struct {
	generate.Request
	chat bool
}

// prompter turns what a user writes into tokens.
type prompter struct {
	tok      *tokenizer.Tokenizer
	template *chat.Template // nil until it is needed
	now      time.Time
}

func (p *prompter) plain(text string) request {
	return request{Request: generate.Request{Prompt: int32s(p.tok.EncodePrompt(text))}}
}

func (p *prompter) turns(turns chat.Messages) (request, error) {
	if p.template == nil {
		var err error
		if p.template, err = chat.New(p.tok, ""); err != nil {
			return request{}, fmt.Errorf("--chat: %w", err)
		}
	}
	text, err := p.template.Render(turns, chat.Options{AddGenerationPrompt: true, Now: p.now})
	return request{generate.Request{Prompt: int32s(p.tok.Encode(text, false))}, true}, err
}

// requests reads the prompts of a command line: one, or those of a file.
func (g generation) requests(tok *tokenizer.Tokenizer) ([]request, error) {
	p := &prompter{tok: tok, now: time.Now()}
	var r request
	var err error
	switch {
	case g.prompts != "":
		out, err := g.lines(p)
		if err != nil {
			return nil, fmt.Errorf("--prompts: %w", err)
		}
		return out, nil
	case g.messages != "":
		raw, err := disk.ReadRegular(g.messages, disk.MaxText)
		if err != nil {
			return nil, fmt.Errorf("--messages: %w", err)
		}
		turns, err := chat.ParseMessages(raw)
		if err != nil {
			return nil, fmt.Errorf("--messages: %s: %w", g.messages, err)
		}
		if r, err = p.turns(turns); err != nil {
			return nil, err
		}
	case g.chat:
		if r, err = p.turns(g.ask(g.prompt)); err != nil {
			return nil, err
		}
	default:
		r = p.plain(g.prompt)
	}
	return []request{r}, nil
}

// ask is a chat of one question.
func (g generation) ask(prompt string) chat.Messages {
	var turns chat.Messages
	if g.system != "" {
		turns = turns.With(chat.Message{Role: "system", Content: g.system})
	}
	return turns.With(chat.Message{Role: "user", Content: prompt})
}

// lines reads the file of --prompts.
func (g generation) lines(p *prompter) ([]request, error) {
	var out []request
	err := dataset.EachLine(g.prompts, func(line []byte) error {
		r, err := g.line(p, line)
		out = append(out, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s is empty", g.prompts)
	}
	return out, nil
}

func (g generation) line(p *prompter, line []byte) (request, error) {
	var c struct {
		Prompt   *string         `json:"prompt"`
		Messages json.RawMessage `json:"messages"`
	}
	if err := json.Unmarshal(line, &c); err != nil {
		return request{}, err
	}
	switch {
	case (c.Prompt == nil) == (c.Messages == nil):
		return request{}, errors.New(`want {"prompt": "…"} or {"messages": […]}`)
	case c.Messages != nil:
		turns, err := chat.ParseMessages(c.Messages)
		if err != nil {
			return request{}, err
		}
		return p.turns(turns)
	case g.chat:
		return p.turns(g.ask(*c.Prompt))
	}
	return p.plain(*c.Prompt), nil
}

// generated is one text as JSON.
type generated struct {
	Text   string          `json:"text"`
	Tokens int             `json:"tokens"`
	Finish generate.Finish `json:"finish"`
}

// generateMany makes all texts, several at once, and writes a line of JSON for each in their order.
func (e *env) generateMany(ctx context.Context, engine *generate.Engine, requests []request, atOnce int) error {
	all := make([]generate.Request, len(requests))
	for i, r := range requests {
		all[i] = r.Request
	}
	start := time.Now()
	out, err := engine.GenerateBatch(ctx, all, atOnce)
	if err != nil {
		return invalid(err)
	}
	w := bufio.NewWriter(e.stdout)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	tokens := 0
	for _, r := range out {
		tokens += len(r.IDs)
		err := enc.Encode(generated{r.Text, len(r.IDs), r.Finish})
		if err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	took := time.Since(start)
	fmt.Fprintf(e.stderr, "%d texts, %d tokens in %s, %.1f a second\n", len(out), tokens, took.Round(time.Millisecond), float64(tokens)/took.Seconds())
	return nil
}

func int32s(ids []int) []int32 {
	out := make([]int32, len(ids))
	for i, id := range ids {
		out[i] = int32(id)
	}
	return out
}
