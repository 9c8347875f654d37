package model

import (
	"errors"
	"fmt"
	"slices"

	G "gorgonia.org/gorgonia"

	"triality/runtime/graph"
	"triality/runtime/safetensors"
)

// Names of the modules that a model has beside its layers, as Hugging Face has them.
const (
	EmbedModule = "model.embed_tokens"
	HeadModule  = "lm_head"
)

// HeadName is the weight that gives the logits: lm_head.weight, or the embedding where they are tied.
func (c Config) HeadName() string {
	if c.TieEmbeddings {
		return embedName
	}
	return headName
}

// Logits is the language-model head of rows of Hidden: h[T, HiddenSize] gives [T, VocabSize].
func (b *Builder) Logits(h *G.Node) (*G.Node, error) {
	h, w, err := b.operands(h)
	if err != nil {
		return nil, err
	}
	return graph.MatMul(h, w, false, true)
}

// LogitsOf are the logits of some tokens: h[T, HiddenSize] and tokens, Int32[K], give [T, K].
func (b *Builder) LogitsOf(h, tokens *G.Node) (*G.Node, error) {
	h, w, err := b.operands(h)
	if err != nil {
		return nil, err
	}
	if w, err = graph.Embedding(w, tokens); err != nil {
		return nil, err
	}
	return graph.MatMul(h, w, false, true)
}

// NLL is −log softmax(Logits(h))[label] of each row, [T]; 0 where the label is negative. The logits are
// not kept.
func (b *Builder) NLL(h, labels *G.Node) (*G.Node, error) {
	h, w, err := b.operands(h)
	if err != nil {
		return nil, err
	}
	return graph.CrossEntropy(h, w, labels)
}

// operands are what the head multiplies.
func (b *Builder) operands(h *G.Node) (_, w *G.Node, err error) {
	if h, err = scaled(h, b.cfg.Multipliers.Logits); err != nil {
		return nil, nil, err
	}
	w = b.head()
	if b.hooks.Head != nil {
		return b.hooks.Head(b, h, w)
	}
	return h, w, nil
}

// head is lm_head.weight or the tied embedding, [VocabSize, HiddenSize].
func (b *Builder) head() *G.Node {
	return b.weight(b.cfg.HeadName(), b.cfg.VocabSize, b.cfg.HiddenSize)
}

// scaled is s·x, where s is not 0, which stands for 1.
func scaled(x *G.Node, s float64) (*G.Node, error) {
	if s == 0 || s == 1 {
		return x, nil
	}
	return graph.Scale(x, s)
}

// ownHead says whether a folder whose configuration ties the head to the embedding holds a head that is
// not the embedding. A folder without weights, or with unreadable ones, has none; who reads the weights
// says what is wrong with them.
func ownHead(dir string, c Config) (bool, error) {
	m, err := safetensors.OpenModel(dir)
	if err != nil {
		return false, nil
	}
	defer m.Close()
	names := StoredNames(c, m)
	head, ok := m.Info(names(headName))
	embed, both := m.Info(names(embedName))
	if !ok || !both {
		return false, nil
	}
	if !slices.Equal(head.Shape, embed.Shape) {
		return true, nil
	}
	for at, n := range safetensors.Parts(head.Shape) {
		a, b := make([]float32, n), make([]float32, n)
		if err := errors.Join(m.ReadFloat32At(names(headName), a, at), m.ReadFloat32At(names(embedName), b, at)); err != nil {
			return false, fmt.Errorf("compare the stored head with the embedding it is tied to: %w", err)
		}
		for i := range a {
			if a[i] != b[i] {
				return true, nil
			}
		}
	}
	return false, nil
}
