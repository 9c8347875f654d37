package generate

import (
	"context"
	"fmt"
	"slices"
)

// Keep computes a prefix and keeps its keys and values, so that ScoreBatch computes it for none of the
// prompts that begin with it. Any other call of the engine ends that.
func (e *Engine) Keep(ctx context.Context, prefix []int32) error {
	if err := e.check("the prefix", prefix, 0); err != nil {
		return err
	}
	if len(prefix) >= e.stretch() {
		return fmt.Errorf("generate: a prefix of %d tokens: the model's rotary frequencies change at %d", len(prefix), e.stretch())
	}
	e.kept = nil
	if _, err := e.params.SetLength(1); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	if err := e.reserve(max(reach(0, len(prefix)), len(prefix)+maxChunk+1)); err != nil {
		return err
	}
	if err := e.prefill(ctx, prefix); err != nil {
		return err
	}
	e.kept = slices.Clone(prefix)
	return nil
}

// KeepCommon keeps what the prompts have in common in front, where it is worth it: what is kept already
// stays where only a few tokens more would be. A caller that scores many prompts one by one calls it
// with all of them first.
func (e *Engine) KeepCommon(ctx context.Context, prompts [][]int32) error {
	if len(prompts) == 0 {
		return nil
	}
	n := min(Common(prompts), e.stretch()-1)
	if n <= shared(e.kept, prompts[0])+8 {
		return nil
	}
	return e.Keep(ctx, prompts[0][:n])
}

// ScoreBatch gives what Score gives for each prompt, [prompt][continuation], but for rounding in the
// last bits (and, with int8 weights, for which activations count as outliers: LLM.int8 asks that of the
// tokens computed together). Several prompts with all their continuations go through the model at once,
// and what the prompts have in common in front is computed once, for this call and the ones after it.
func (e *Engine) ScoreBatch(ctx context.Context, prompts, continuations [][]int32) ([][]float64, error) {
	tail := 0 // tokens of the continuations that are fed
	longest := 0
	for i, c := range continuations {
		if err := e.check(fmt.Sprintf("continuation %d", i), c, 0); err != nil {
			return nil, err
		}
		tail, longest = tail+len(c)-1, max(longest, len(c))
	}
	out := make([][]float64, len(prompts))
	for i, p := range prompts {
		out[i] = make([]float64, len(continuations))
		if err := e.check(fmt.Sprintf("prompt %d", i), p, longest); err != nil {
			return nil, err
		}
	}
	if len(continuations) == 0 {
		return out, nil
	}
	if len(prompts) > 1 {
		if err := e.KeepCommon(ctx, prompts); err != nil {
			return nil, err
		}
	}
	if _, err := e.params.SetLength(1); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	var alone []int // prompts that do not go into a pack
	s := scoring{e: e, out: out, continuations: continuations}
	for i, p := range prompts {
		n := min(shared(e.kept, p), len(p)-1)
		if len(p)-n+tail > maxChunk || len(p)+longest > e.stretch() {
			alone = append(alone, i)
			continue
		}
		if err := s.add(ctx, i, p, n, tail); err != nil {
			return nil, err
		}
	}
	if err := s.run(ctx); err != nil {
		return nil, err
	}
	for _, i := range alone {
		var err error
		if out[i], err = e.Score(ctx, prompts[i], continuations); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// stretch is the longest sequence that may go with shorter ones: in models with longrope a longer one
// changes the rotary frequencies of all.
func (e *Engine) stretch() int {
	if e.cfg.Rope.Type == "longrope" {
		return e.cfg.Rope.Original
	}
	return e.cfg.MaxPositions
}

// shared is the length of what a and b have in common in front.
func shared(a, b []int32) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// Common is the length of what all sequences have in common in front, short of the last token of
// the shortest: something must be left to compute.
func Common(all [][]int32) int {
	n := len(all[0]) - 1
	for _, s := range all[1:] {
		n = min(n, shared(all[0], s), len(s)-1)
	}
	return n
}

// scoring fills packs and runs them.
type scoring struct {
	e             *Engine
	continuations [][]int32
	out           [][]float64
	pack          pack
	of            [][2]int // the prompt and continuation of each row of the result
	scores        []float64
}

// maxKeys bounds the gathered rows of a pack by their memory.
func (e *Engine) maxKeys() int { return min(16*maxChunk, max(1024, (4<<20)/e.cfg.KVDim())) }

// add puts prompt i, of which the first n tokens are in the cache, into the pack.
func (s *scoring) add(ctx context.Context, i int, prompt []int32, n, tail int) error {
	k := &s.pack
	suffix := prompt[n:]
	keys := len(s.continuations)*len(prompt) + tail
	if len(k.ids)+len(suffix)+tail > maxChunk || len(k.ids) > 0 && len(k.gather)+keys > s.e.maxKeys() {
		if err := s.run(ctx); err != nil {
			return err
		}
	}
	base := len(s.e.kept) // each token has the cache row after the kept ones
	first, region := len(k.ids), len(k.gather)
	for t, id := range suffix {
		k.token(id, n+t, region, region+n+t+1, int32(base+first+t))
	}
	for j, c := range s.continuations {
		if j > 0 && len(c) > 1 {
			region = len(k.gather)
		}
		if j == 0 || len(c) > 1 {
			for row := range n {
				k.gather = append(k.gather, int32(row))
			}
			for t := range suffix {
				k.gather = append(k.gather, int32(base+first+t))
			}
		}
		k.rows, k.labels = append(k.rows, int32(first+len(suffix)-1)), append(k.labels, c[0])
		s.of = append(s.of, [2]int{i, j})
		for t, id := range c[:len(c)-1] {
			at := len(k.ids)
			k.token(id, len(prompt)+t, region, region+len(prompt)+t+1, int32(base+at))
			k.gather = append(k.gather, int32(base+at))
			k.rows, k.labels = append(k.rows, int32(at)), append(k.labels, c[t+1])
			s.of = append(s.of, [2]int{i, j})
		}
	}
	return nil
}

// run computes the pack and empties it.
func (s *scoring) run(ctx context.Context) error {
	if len(s.pack.ids) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	e := s.e
	if e.rows < len(e.kept)+maxChunk+1 {
		// Only without kept rows: Keep has made room for those.
		if err := e.reserve(len(e.kept) + maxChunk + 1); err != nil {
			return err
		}
	}
	p, err := e.run(&s.pack, rowScores, int32(len(e.kept)+maxChunk))
	if err != nil {
		return err
	}
	s.scores = slices.Grow(s.scores[:0], len(s.of))[:len(s.of)]
	if err := p.download(e.dev, s.scores, len(s.of)); err != nil {
		return err
	}
	for r, of := range s.of {
		s.out[of[0]][of[1]] -= s.scores[r]
	}
	s.pack.reset()
	s.of = s.of[:0]
	return nil
}
