// Package generate runs a causal language model forward: logits, texts (greedy or drawn, one or many at
// once) with a key-value cache, and the log-probabilities of continuations.
package generate

import (
	"fmt"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// maxChunk is the most tokens one graph takes; longer prompts go through the cache in chunks,
// which bounds the memory of intermediate results.
const maxChunk = 512

// Engine runs one model on one device. Compiled graphs and the cache stay for the next call. One
// goroutine at a time may use it.
type Engine struct {
	dev    device.Device
	cfg    model.Config
	params *model.DeviceParams
	hooks  model.Hooks
	arena  *graph.Arena
	passes map[passKey]*pass
	cache  []device.Buffer // per layer k, then v
	rows   int             // of each cache buffer
	kept   []int32         // the prefix that the first rows hold; every call but ScoreBatch ends it

	logits []float32
	boxed  any // logits, converted once: a decode step allocates nothing
}

// New makes an engine over weights that are on the device already and stay the caller's. hooks adds
// to the plain model as in training (LoRA, SO8T); leaves the hooks make must be among the weights.
// hooks.KV must be nil: the engine has its own cache.
func New(dev device.Device, cfg model.Config, params *model.DeviceParams, hooks model.Hooks) (*Engine, error) {
	if err := cfg.Check(); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	if hooks.KV != nil {
		return nil, fmt.Errorf("generate: the hooks bring a key-value cache; the engine has its own")
	}
	e := &Engine{
		dev: dev, cfg: cfg, params: params, hooks: hooks, arena: graph.NewArena(dev),
		passes: make(map[passKey]*pass), logits: make([]float32, cfg.VocabSize),
	}
	e.boxed = e.logits
	return e, nil
}

// Close frees the cache and the graphs, not the weights.
func (e *Engine) Close() error {
	e.dropPasses(func(passKey) bool { return true })
	e.freeCache()
	return e.arena.Close()
}

func (e *Engine) dropPasses(which func(passKey) bool) {
	for k, p := range e.passes {
		if which(k) {
			p.close(e.dev)
			delete(e.passes, k)
		}
	}
}

func (e *Engine) freeCache() {
	for _, b := range e.cache {
		e.dev.Free(b)
	}
	e.cache, e.rows, e.kept = nil, 0, nil
}

// reserve makes the cache hold n rows. What it held is lost; every call starts its own.
func (e *Engine) reserve(n int) error {
	if n <= e.rows {
		return nil
	}
	rows := 256
	for rows < n {
		rows *= 2
	}
	e.dropPasses(func(k passKey) bool { return k.kind != everyLogit })
	e.freeCache()
	for range 2 * e.cfg.Layers {
		b, err := e.dev.Alloc(e.params.Storage().Matrices, rows*e.cfg.KVDim())
		if err != nil {
			e.freeCache()
			return fmt.Errorf("generate: key-value cache of %d tokens: %w", rows, err)
		}
		e.cache = append(e.cache, b)
	}
	e.rows = rows
	return nil
}

// check refuses token ids outside the vocabulary and sequences longer than the model's positions.
func (e *Engine) check(what string, ids []int32, before int) error {
	if len(ids) == 0 {
		return fmt.Errorf("generate: %s is empty", what)
	}
	if n := before + len(ids); n > e.cfg.MaxPositions {
		return fmt.Errorf("generate: %s: %d tokens are more than the model's %d positions", what, n, e.cfg.MaxPositions)
	}
	for i, id := range ids {
		if id < 0 || int(id) >= e.cfg.VocabSize {
			return fmt.Errorf("generate: %s: token %d is %d, outside the vocabulary of %d", what, i, id, e.cfg.VocabSize)
		}
	}
	return nil
}

// bucket is the length of the graph that takes n tokens: a power of two, or one and a half of one,
// so that padding stays under a half and few graphs are compiled.
func bucket(n int) int {
	b := 1
	for b < n {
		if b >= 16 && b+b/2 >= n {
			return b + b/2
		}
		b *= 2
	}
	return b
}

// reach is the cache rows that n tokens from row start on touch, padding included.
func reach(start, n int) int {
	full := (n - 1) / maxChunk * maxChunk
	return start + full + bucket(n-full)
}
