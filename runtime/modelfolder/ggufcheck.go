package modelfolder

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"triality/runtime/gguf"
)

// packed is a GGUF file's tensors.
type packed struct{ *gguf.File }

func (p packed) names() []string { return p.Names() }
func (p packed) shape(name string) ([]int, bool) {
	info, ok := p.Info(name)
	return info.Shape, ok
}
func (p packed) storage(name string) string {
	info, _ := p.Info(name)
	return info.Type.String()
}
func (p packed) readable(name string) bool {
	info, _ := p.Info(name)
	return info.Type.Readable()
}
func (p packed) read(name string, dst []float32, at int) error {
	return p.ReadFloat32(name, dst, at)
}

// VerifyGGUF checks a GGUF file as Verify does a folder: its head, the tensors that its metadata
// implies, every value it can read, and its tokenizer.
func VerifyGGUF(ctx context.Context, path string) []Check {
	f, err := gguf.Open(path)
	c := Check{Name: "header", Err: err}
	if err != nil {
		return []Check{c}
	}
	defer f.Close()
	c.Detail = fmt.Sprintf("%s, %q, %d metadata entries", f.Architecture(), f.Text("general.name"), len(f.Keys()))
	checks := []Check{c}
	w := packed{f}
	if specs, err := f.Specs(); err != nil {
		checks = append(checks, Check{Name: "tensors", Err: err})
	} else {
		checks = append(checks, checkTensors(w, specs, func(string) (string, bool) { return "", false }))
	}
	checks = append(checks, checkStorage(w, func(string) bool { return true }), checkValues(ctx, w), verifyVocabulary(f))
	t := Check{Name: "chat template", Detail: "none: prompts are plain text"}
	if s := f.Text("tokenizer.chat_template"); s != "" {
		t.Detail = fmt.Sprintf("%d characters", len(s))
	}
	return append(checks, t)
}

func verifyVocabulary(f *gguf.File) Check {
	c := Check{Name: "tokenizer"}
	kind := f.Text("tokenizer.ggml.model")
	tokens, err := f.Strings("tokenizer.ggml.tokens")
	if err != nil {
		c.Err = err
		return c
	}
	c.Detail = fmt.Sprintf("%s, %s, %d tokens", kind, f.Text("tokenizer.ggml.pre"), len(tokens))
	if kind == "" {
		c.Err = errors.New("metadata tokenizer.ggml.model is missing")
	}
	if info, ok := f.Info("token_embd.weight"); ok && len(info.Shape) == 2 && info.Shape[0] != len(tokens) {
		c.Err = errors.Join(c.Err, fmt.Errorf("%d tokens, the embedding has %d rows", len(tokens), info.Shape[0]))
	}
	id := make(map[string]int, len(tokens))
	for i, t := range tokens {
		if other, twice := id[t]; twice {
			c.Err = errors.Join(c.Err, fmt.Errorf("tokens %d and %d are both %q", other, i, t))
			break
		}
		id[t] = i
	}
	types, err := f.Int32s("tokenizer.ggml.token_type")
	if err == nil && len(types) != len(tokens) {
		err = fmt.Errorf("%d token types for %d tokens", len(types), len(tokens))
	}
	c.Err = errors.Join(c.Err, err)
	switch kind {
	case "llama":
		scores, err := f.Float32s("tokenizer.ggml.scores")
		if err == nil && len(scores) != len(tokens) {
			err = fmt.Errorf("%d scores for %d tokens", len(scores), len(tokens))
		}
		c.Err = errors.Join(c.Err, err)
	case "gpt2":
		c.Err = errors.Join(c.Err, verifyMerges(f, id))
	}
	named := map[string]int{}
	for _, which := range []string{"bos", "eos", "eot", "eom", "unknown", "padding"} {
		key := "tokenizer.ggml." + which + "_token_id"
		if n, ok := f.Int(key); ok {
			named[key] = n
		}
	}
	c.Err = errors.Join(c.Err, ids(len(tokens), named))
	return c
}

// verifyMerges checks that every merge joins two tokens into a third.
func verifyMerges(f *gguf.File, id map[string]int) error {
	merges, err := f.Strings("tokenizer.ggml.merges")
	if err != nil {
		return err
	}
	for i, m := range merges {
		left, right, ok := strings.Cut(m, " ")
		if !ok {
			return fmt.Errorf("merge %d, %q, is not two tokens", i, m)
		}
		for _, t := range []string{left, right, left + right} {
			if _, ok := id[t]; !ok {
				return fmt.Errorf("merge %d, %q: %q is no token", i, m, t)
			}
		}
	}
	return nil
}
