package generate

import (
	"context"
	"fmt"
	"slices"
)

// Logits gives the logits [len(ids)][vocabulary] after each token, in one pass without the cache.
func (e *Engine) Logits(ids []int32) ([][]float32, error) {
	if err := e.check("the sequence", ids, 0); err != nil {
		return nil, err
	}
	p, err := e.pass(passKey{kind: everyLogit, T: bucket(len(ids))})
	if err != nil {
		return nil, err
	}
	if _, err := e.params.SetLength(len(ids)); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	p.fill(ids, 0)
	if err := p.run(e.dev); err != nil {
		return nil, err
	}
	V := e.cfg.VocabSize
	flat := make([]float32, len(ids)*V)
	if err := e.dev.Download(flat, p.m.Output(p.out).Slice(0, len(flat))); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	out := make([][]float32, len(ids))
	for t := range out {
		out[t] = flat[t*V : (t+1)*V : (t+1)*V]
	}
	return out, nil
}

// next runs tokens at positions from start on through the cache and leaves the logits after the last
// one in e.logits.
func (e *Engine) next(ids []int32, start int) error {
	p, err := e.pass(passKey{kind: nextLogits, T: bucket(len(ids))})
	if err != nil {
		return err
	}
	p.fill(ids, start)
	p.ints[5*p.T] = int32(len(ids) - 1)
	if err := p.run(e.dev); err != nil {
		return err
	}
	if err := e.dev.Download(e.boxed, p.m.Output(p.out)); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}

// prefill runs a prompt through the cache in chunks.
func (e *Engine) prefill(ctx context.Context, prompt []int32) error {
	for start := 0; start < len(prompt); start += maxChunk {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.next(prompt[start:min(start+maxChunk, len(prompt))], start); err != nil {
			return err
		}
	}
	return nil
}

// Greedy continues prompt with the likeliest token at each step (of equals, the lowest id), and gives
// the new tokens: at most maxNew, up to the first of stop, which is not among them, or to the
// end of the model's positions.
func (e *Engine) Greedy(ctx context.Context, prompt []int32, maxNew int, stop []int32) ([]int32, error) {
	r, err := e.Generate(ctx, Request{Prompt: prompt, MaxNew: maxNew, End: stop})
	return r.IDs, err
}

// Generate continues a prompt. A cancelled context ends it with what there is so far and the
// context's error.
func (e *Engine) Generate(ctx context.Context, r Request) (Result, error) {
	if err := r.check(e); err != nil {
		return Result{}, err
	}
	e.kept = nil
	s := newSequence(r, e.cfg.MaxPositions)
	if s.left <= 0 {
		s.finish(FinishLength)
		return s.out, nil
	}
	n := len(r.Prompt) + s.left
	if err := e.reserve(max(reach(0, n), n)); err != nil {
		return s.out, err
	}
	if _, err := e.params.SetLength(len(r.Prompt)); err != nil {
		return s.out, fmt.Errorf("generate: %w", err)
	}
	if err := e.prefill(ctx, r.Prompt); err != nil {
		return s.out, err
	}
	for {
		if err := s.accept(e.logits); err != nil || s.out.Finish != "" {
			return s.out, err
		}
		if err := e.advance(ctx, s); err != nil {
			s.out.Text = s.text.String()
			return s.out, err
		}
	}
}

// advance runs the newest token of a sequence through the cache.
func (e *Engine) advance(ctx context.Context, s *sequence) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	stale, err := e.params.SetLength(s.length())
	if err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	if stale { // once, where a longrope model passes from short to long
		return e.prefill(ctx, slices.Concat(s.req.Prompt, s.out.IDs))
	}
	return e.next(s.out.IDs[len(s.out.IDs)-1:], s.length()-1)
}

func argmax(x []float32) int32 {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return int32(best)
}

// Score gives the natural logarithm of each continuation's probability after prompt: the sum over
// its tokens. The prompt is computed once; each continuation then writes the cache rows after it.
func (e *Engine) Score(ctx context.Context, prompt []int32, continuations [][]int32) ([]float64, error) {
	if err := e.check("the prompt", prompt, 0); err != nil {
		return nil, err
	}
	e.kept = nil
	// The prompt's last token goes with each continuation, whose first token it predicts.
	start := len(prompt) - 1
	need := reach(0, len(prompt))
	for i, c := range continuations {
		if err := e.check(fmt.Sprintf("continuation %d", i), c, len(prompt)); err != nil {
			return nil, err
		}
		need = max(need, reach(start, len(c)))
	}
	if err := e.reserve(need); err != nil {
		return nil, err
	}
	out := make([]float64, len(continuations))
	for i, c := range continuations {
		stale, err := e.params.SetLength(len(prompt) + len(c))
		if err != nil {
			return nil, fmt.Errorf("generate: %w", err)
		}
		if i == 0 || stale {
			if err := e.prefill(ctx, prompt[:start]); err != nil {
				return nil, err
			}
		}
		ids := append([]int32{prompt[start]}, c[:len(c)-1]...)
		for from := 0; from < len(c); from += maxChunk {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			to := min(from+maxChunk, len(c))
			nll, err := e.nll(ids[from:to], c[from:to], start+from)
			if err != nil {
				return nil, err
			}
			out[i] -= nll
		}
	}
	return out, nil
}

// nll is the sum of the labels' negative log-likelihoods.
func (e *Engine) nll(ids, labels []int32, start int) (float64, error) {
	p, err := e.pass(passKey{kind: labelScores, T: bucket(len(ids))})
	if err != nil {
		return 0, err
	}
	p.fill(ids, start)
	for t := range p.T {
		p.ints[5*p.T+t] = -1
	}
	copy(p.ints[5*p.T:], labels)
	if err := p.run(e.dev); err != nil {
		return 0, err
	}
	rows := make([]float64, p.T)
	if err := e.dev.Download(rows, p.m.Output(p.out)); err != nil {
		return 0, fmt.Errorf("generate: %w", err)
	}
	sum := 0.0
	for _, x := range rows {
		sum += x
	}
	return sum, nil
}
