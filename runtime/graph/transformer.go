package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

type embedding struct{ T, V, D int }

// Embedding gathers rows: [T,D] with row t = table[ids[t]]. table is [V,D], ids Int32[T]. It gathers
// the rows of any matrix, for example the last hidden state of each sequence.
func Embedding(table, ids *G.Node) (*G.Node, error) {
	v, d, err := matrix("embedding", "table", table)
	if err != nil {
		return nil, err
	}
	t, err := indices("embedding", "ids", ids, -1)
	if err != nil {
		return nil, err
	}
	return apply(embedding{t, v, d}, []int{t, d}, table, ids)
}

func (k embedding) launch(dev device.Device, out, in []device.Buffer) {
	dev.Embedding(out[0], in[0], in[1], k.T, k.D)
}
func (embedding) signature() string { return "mi>m" }
func (embedding) wrt() []bool       { return []bool{true, false} }

func (k embedding) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	d, err := apply(embeddingGrad(k), []int{k.V, k.D}, in[1], dy)
	return G.Nodes{d, nil}, err
}

type embeddingGrad struct{ T, V, D int }

func (k embeddingGrad) launch(dev device.Device, out, in []device.Buffer) {
	dev.EmbeddingGrad(out[0], in[0], in[1], k.T, k.V, k.D)
}
func (embeddingGrad) signature() string { return "im>m" }

type rmsNorm struct {
	T, D int
	Eps  float64
}

// RMSNorm is w[d] · x[t,d] / sqrt(mean_d(x²) + eps) (Zhang & Sennrich 2019). x is [T,D], w [D].
func RMSNorm(x, w *G.Node, eps float64) (*G.Node, error) {
	t, d, err := matrix("rmsNorm", "x", x)
	if err != nil {
		return nil, err
	}
	if _, err := floats("rmsNorm", "w", w, d); err != nil {
		return nil, err
	}
	return apply(rmsNorm{t, d, eps}, x.Shape(), x, w)
}

func (k rmsNorm) launch(dev device.Device, out, in []device.Buffer) {
	dev.RMSNorm(out[0], in[0], in[1], k.T, k.D, k.Eps)
}
func (rmsNorm) inPlace() []int    { return []int{0} }
func (rmsNorm) signature() string { return "mf>m" }
func (rmsNorm) wrt() []bool       { return []bool{true, true} }

func (k rmsNorm) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	dx, err := apply(rmsNormGradX(k), in[0].Shape(), in[0], in[1], dy)
	if err != nil {
		return nil, err
	}
	dw, err := apply(rmsNormGradW(k), in[1].Shape(), in[0], dy)
	return G.Nodes{dx, dw}, err
}

type rmsNormGradX rmsNorm

func (k rmsNormGradX) launch(dev device.Device, out, in []device.Buffer) {
	dev.RMSNormGradX(out[0], in[0], in[1], in[2], k.T, k.D, k.Eps)
}
func (rmsNormGradX) inPlace() []int    { return []int{2} }
func (rmsNormGradX) signature() string { return "mfm>m" }

type rmsNormGradW rmsNorm

func (k rmsNormGradW) launch(dev device.Device, out, in []device.Buffer) {
	dev.RMSNormGradW(out[0], in[0], in[1], k.T, k.D, k.Eps)
}
func (rmsNormGradW) signature() string { return "mm>f" }

type rotary struct {
	T, Heads, HeadDim, Pairs int
	Scale                    float64
	Inverse                  bool
}

// Rotary turns the first 2·P dimensions of each head of x[T, heads·headDim] by pos[t]·freq[i] and
// multiplies them by scale (Su et al. 2021, in the half-split convention of Hugging Face); the others stay.
// pos is Int32[T], freq [P].
func Rotary(x, pos, freq *G.Node, heads, headDim int, scale float64) (*G.Node, error) {
	t, d, err := matrix("rotary", "x", x)
	if err != nil {
		return nil, err
	}
	if headDim <= 0 || headDim%2 != 0 || heads*headDim != d {
		return nil, fmt.Errorf("graph: rotary: %d heads of %d do not make rows of %d; a head must be even", heads, headDim, d)
	}
	pairs := freq.Shape().TotalSize()
	if pairs > headDim/2 {
		return nil, fmt.Errorf("graph: rotary: %d frequencies for heads of %d", pairs, headDim)
	}
	if _, err := indices("rotary", "pos", pos, t); err != nil {
		return nil, err
	}
	if _, err := floats("rotary", "freq", freq, pairs); err != nil {
		return nil, err
	}
	return apply(rotary{t, heads, headDim, pairs, scale, false}, x.Shape(), x, pos, freq)
}

func (k rotary) launch(dev device.Device, out, in []device.Buffer) {
	dev.Rotary(out[0], in[0], in[1], in[2], k.T, k.Heads, k.HeadDim, k.Pairs, k.Scale, k.Inverse)
}
func (rotary) inPlace() []int    { return []int{0} }
func (rotary) signature() string { return "mif>m" }
func (rotary) wrt() []bool       { return []bool{true, false, false} }

func (k rotary) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	k.Inverse = !k.Inverse
	dx, err := apply(k, in[0].Shape(), dy, in[1], in[2])
	return G.Nodes{dx, nil, nil}, err
}

// Heads gives the head sizes of an attention. Heads is a multiple of KVHeads (Ainslie et al. 2023).
type Heads struct {
	Heads, KVHeads, HeadDim int
	Scale                   float64 // of q·kᵀ; 1/sqrt(HeadDim) as a rule
	Window                  int     // where positive, the most keys a row sees: the last ones of its range
}

type attention struct{ device.AttentionShape }

// Attention: row t of q[T, Heads·HeadDim] attends to the rows lo[t] ≤ j < hi[t] of k and v
// [Keys, KVHeads·HeadDim]. lo and hi are Int32[T].
func Attention(q, k, v, lo, hi *G.Node, h Heads) (*G.Node, error) {
	if h.Window < 0 {
		return nil, fmt.Errorf("graph: attention: a window of %d keys", h.Window)
	}
	if h.HeadDim <= 0 || h.KVHeads <= 0 || h.Heads <= 0 || h.Heads%h.KVHeads != 0 {
		return nil, fmt.Errorf("graph: attention: %d heads over %d key heads of %d: heads must be a multiple of key heads", h.Heads, h.KVHeads, h.HeadDim)
	}
	queries, d, err := matrix("attention", "q", q)
	if err != nil {
		return nil, err
	}
	if d != h.Heads*h.HeadDim {
		return nil, fmt.Errorf("graph: attention: q has rows of %d, not of %d·%d", d, h.Heads, h.HeadDim)
	}
	keys, d, err := matrix("attention", "k", k)
	if err != nil {
		return nil, err
	}
	if _, _, err := matrix("attention", "v", v); err != nil {
		return nil, err
	}
	if d != h.KVHeads*h.HeadDim || !sameShape(k.Shape(), v.Shape()) {
		return nil, fmt.Errorf("graph: attention: k is %v and v %v, rows must be %d·%d", k.Shape(), v.Shape(), h.KVHeads, h.HeadDim)
	}
	if _, err := indices("attention", "lo", lo, queries); err != nil {
		return nil, err
	}
	if _, err := indices("attention", "hi", hi, queries); err != nil {
		return nil, err
	}
	s := device.AttentionShape{Queries: queries, Keys: keys, Heads: h.Heads, KVHeads: h.KVHeads, HeadDim: h.HeadDim, Scale: h.Scale, Window: h.Window}
	return apply(attention{s}, q.Shape(), q, k, v, lo, hi)
}

func (k attention) launch(dev device.Device, out, in []device.Buffer) {
	dev.Attention(out[0], in[0], in[1], in[2], in[3], in[4], k.AttentionShape)
}
func (attention) signature() string { return "mmmii>m" }
func (attention) wrt() []bool       { return []bool{true, true, true, false, false} }

func (k attention) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	kg := attentionGrad(k)
	flat, err := applyMulti(kg, in[0], in[1], in[2], in[3], in[4], dy)
	if err != nil {
		return nil, err
	}
	d, err := views(kg, flat, in[0].Shape(), in[1].Shape(), in[2].Shape())
	return append(d, nil, nil), err
}

type attentionGrad struct{ device.AttentionShape }

func (k attentionGrad) parts() []int {
	kv := k.Keys * k.KVHeads * k.HeadDim
	return []int{k.Queries * k.Heads * k.HeadDim, kv, kv}
}

func (k attentionGrad) launch(dev device.Device, out, in []device.Buffer) {
	dev.AttentionGrad(out[0], out[1], out[2], in[0], in[1], in[2], in[3], in[4], in[5], k.AttentionShape)
}
func (attentionGrad) signature() string { return "mmmiim>m" }

type cacheWrite struct{ T, Slots, D int }

// CacheWrite puts row t of x[T,D] into row slots[t] of cache[S,D] and gives the cache: the
// result is the same memory, so what must see the new rows reads the result. It has no gradient.
func CacheWrite(cache, x, slots *G.Node) (*G.Node, error) {
	s, d, err := matrix("cacheWrite", "cache", cache)
	if err != nil {
		return nil, err
	}
	t, dx, err := matrix("cacheWrite", "x", x)
	if err != nil {
		return nil, err
	}
	if d != dx {
		return nil, fmt.Errorf("graph: cacheWrite: rows of %d into a cache of rows of %d", dx, d)
	}
	if _, err := indices("cacheWrite", "slots", slots, t); err != nil {
		return nil, err
	}
	return apply(cacheWrite{t, s, d}, cache.Shape(), cache, x, slots)
}

func (cacheWrite) aliasOffset() int { return 0 }

func (k cacheWrite) launch(dev device.Device, out, in []device.Buffer) {
	dev.CacheWrite(out[0], in[1], in[2], k.T, k.D)
}
func (cacheWrite) signature() string { return "mmi>m" }

type crossEntropy struct{ T, D, V int }

// CrossEntropy is the negative log-likelihood of labels[t] under softmax(w·h[t]), of shape [T], 0
// where the label is negative. h is [T,D], w [V,D], labels Int32[T].
func CrossEntropy(h, w, labels *G.Node) (*G.Node, error) {
	t, d, err := matrix("crossEntropy", "h", h)
	if err != nil {
		return nil, err
	}
	v, dw, err := matrix("crossEntropy", "w", w)
	if err != nil {
		return nil, err
	}
	if d != dw {
		return nil, fmt.Errorf("graph: crossEntropy: hidden rows of %d and a head of rows of %d", d, dw)
	}
	if _, err := indices("crossEntropy", "labels", labels, t); err != nil {
		return nil, err
	}
	return apply(crossEntropy{t, d, v}, []int{t}, h, w, labels)
}

func (k crossEntropy) launch(dev device.Device, out, in []device.Buffer) {
	dev.CrossEntropy(out[0], in[0], in[1], in[2], k.T, k.D, k.V)
}
func (crossEntropy) signature() string { return "mmi>f" }
func (crossEntropy) wrt() []bool       { return []bool{true, true, false} }

func (k crossEntropy) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	kg := crossEntropyGrad(k)
	flat, err := applyMulti(kg, in[0], in[1], in[2], dy)
	if err != nil {
		return nil, err
	}
	d, err := views(kg, flat, in[0].Shape(), in[1].Shape())
	return append(d, nil), err
}

// crossEntropyGrad has dw last: where the head is frozen no view reads it, and it is not computed.
type crossEntropyGrad struct{ T, D, V int }

func (k crossEntropyGrad) parts() []int { return []int{k.T * k.D, k.V * k.D} }

func (crossEntropyGrad) trim() {}

func (k crossEntropyGrad) launch(dev device.Device, out, in []device.Buffer) {
	dev.CrossEntropyGrad(out[0], out[1], in[0], in[1], in[2], in[3], k.T, k.D, k.V)
}
func (crossEntropyGrad) signature() string { return "mmif>m" }
