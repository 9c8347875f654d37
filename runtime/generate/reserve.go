package generate

import (
	"fmt"
)

// Use is what an engine will be asked, for Reserve: ScoreBatch of each prompt alone after KeepCommon of all, and
// GenerateBatch where MaxNew is not 0.
type Use struct {
	Prompts       []int // tokens of each
	Common        int   // tokens that all prompts have in common in front
	Continuations []int // tokens of each
	MaxNew        int   // tokens of a text
	AtOnce        int   // texts made together
	Together      bool  // ScoreBatch gets all prompts at once
}

// Reserve takes the memory for such calls, with the longest of each size together: the cache and the results of the
// graphs.
func (e *Engine) Reserve(u Use) error {
	if len(u.Prompts) == 0 {
		return nil
	}
	tail, longest := 0, 0
	for _, c := range u.Continuations {
		tail, longest = tail+c-1, max(longest, c)
	}
	rows, prompt, fed := u.Common+maxChunk+1, 0, 0 // cache rows; the longest prompt; the most tokens that go as one pack
	together, gathered := 0, 0                     // of all that may share packs: tokens, and cache rows
	var passes []passKey
	for _, n := range u.Prompts {
		prompt = max(prompt, n)
		rest := max(1, n-u.Common)
		if rest+tail > maxChunk || n+longest > e.stretch() {
			rows = max(rows, reach(0, n), reach(n-1, longest))
			passes = append(passes, passKey{kind: nextLogits, T: bucket(min(n, maxChunk))}, passKey{kind: labelScores, T: bucket(min(longest, maxChunk))})
			continue
		}
		fed = max(fed, rest+tail)
		together, gathered = together+rest+tail, gathered+len(u.Continuations)*n+tail
	}
	if u.Common > 0 {
		rows = max(rows, reach(0, u.Common))
		passes = append(passes, passKey{kind: nextLogits, T: bucket(min(u.Common, maxChunk))})
	}
	if fed > 0 {
		keys, results := len(u.Continuations)*prompt+tail, tail+len(u.Continuations)
		if u.Together { // packs are filled up: each prompt has a token of its own at least
			fed, keys = min(maxChunk, together), max(keys, min(gathered, e.maxKeys()))
			results *= min(len(u.Prompts), max(1, maxChunk/(1+tail)))
		}
		passes = append(passes, passKey{rowScores, bucket(fed), bucket(keys), bucket(results)})
	}
	if u.MaxNew > 0 {
		n := min(e.cfg.MaxPositions, prompt+u.MaxNew)
		cached := u.AtOnce * pages(n) * pageRows
		rows = max(rows, cached+pageRows, reach(0, n))
		passes = append(passes,
			passKey{rowLogits, bucket(min(maxChunk, u.AtOnce*prompt)), bucket(cached), bucket(u.AtOnce)},
			passKey{kind: nextLogits, T: bucket(min(prompt, maxChunk))})
	}
	if err := e.reserve(rows); err != nil {
		return err
	}
	done := map[passKey]bool{}
	for _, key := range passes {
		if done[key] {
			continue
		}
		done[key] = true
		if _, err := e.pass(key); err != nil {
			return err
		}
	}
	if err := e.arena.Ready(); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}

// Held is what an engine keeps of the host's memory for such calls, in bytes: the logits of the texts that are made
// together, as floats and as the samplers order them.
func (e *Engine) Held(u Use) int64 {
	if u.MaxNew == 0 {
		return 0
	}
	return int64(u.AtOnce+2) * int64(e.cfg.VocabSize) * 8
}
