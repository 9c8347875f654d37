package generate

import (
	"context"
	"fmt"
	"slices"
)

// pageRows is the cache rows of a page.
const pageRows = 16

func pages(n int) int { return (n + pageRows - 1) / pageRows }

// batch is continuous batching over a paged cache: sequences join when there is room for all that they
// may become, take pages as they grow, and give them back when they end.
type batch struct {
	e       *Engine
	waiting []*member
	live    []*member
	most    int     // live at once
	free    []int32 // pages
	spoken  int     // pages that live sequences have or may still take
	total   int
	pack    pack
	logits  []float32
}

// member is a sequence with its block table.
type member struct {
	*sequence
	table []int32 // its pages, in order
	done  int     // tokens in the cache
}

// row is the cache row of a token.
func (m *member) row(i int) int32 { return m.table[i/pageRows]*pageRows + int32(i%pageRows) }

// GenerateBatch continues several prompts, at most so many at once, and gives the results in the order
// of the requests. A text does not depend on what it is computed with, but for what ScoreBatch says of
// rounding. A cancelled context ends it with what there is so far and the context's error.
func (e *Engine) GenerateBatch(ctx context.Context, requests []Request, atOnce int) ([]Result, error) {
	out := make([]Result, len(requests))
	if atOnce < 1 {
		return nil, fmt.Errorf("generate: %d sequences at once", atOnce)
	}
	b := &batch{e: e, most: atOnce}
	all := make([]*sequence, len(requests))
	var alone []int
	var needs []int
	for i, r := range requests {
		if err := r.check(e); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
		s := newSequence(r, e.cfg.MaxPositions)
		switch n := len(r.Prompt) + s.left; {
		case s.left <= 0:
			s.finish(FinishLength)
		case n > e.stretch(): // its rotary frequencies may become others than those of shorter ones
			alone = append(alone, i)
			continue
		default:
			b.waiting = append(b.waiting, &member{sequence: s})
			needs = append(needs, pages(n))
		}
		all[i] = s
	}
	slices.Sort(needs)
	for _, n := range needs[max(0, len(needs)-atOnce):] {
		b.total += n
	}
	err := b.run(ctx)
	for i, s := range all {
		if s != nil {
			s.out.Text = s.text.String()
			out[i] = s.out
		}
	}
	for _, i := range alone {
		if err == nil {
			out[i], err = e.Generate(ctx, requests[i])
		}
	}
	return out, err
}

// run makes all texts.
func (b *batch) run(ctx context.Context) error {
	if len(b.waiting) == 0 {
		return nil
	}
	e := b.e
	e.kept = nil
	if err := e.reserve((1 + b.total) * pageRows); err != nil {
		return err
	}
	if _, err := e.params.SetLength(1); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	for page := b.total; page > 0; page-- { // page 0 takes what padding writes
		b.free = append(b.free, int32(page))
	}
	for {
		b.admit()
		if len(b.live) == 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.step(); err != nil {
			return err
		}
	}
}

// admit lets sequences join, in order.
func (b *batch) admit() {
	for len(b.waiting) > 0 && len(b.live) < b.most {
		m := b.waiting[0]
		need := pages(m.length() + m.left)
		if b.spoken+need > b.total {
			return
		}
		b.spoken += need
		b.live, b.waiting = append(b.live, m), b.waiting[1:]
	}
}

// step runs the tokens that are not in the cache yet, of long prompts a part, and lets each sequence
// choose that has all of its own there.
func (b *batch) step() error {
	k := &b.pack
	k.reset()
	var choose []*member
	for i, m := range b.live {
		// One token is left for each that comes after.
		n := min(m.length()-m.done, maxChunk-len(k.ids)-(len(b.live)-i-1))
		if n <= 0 {
			continue
		}
		for pages(m.done+n) > len(m.table) {
			m.table = append(m.table, b.free[len(b.free)-1])
			b.free = b.free[:len(b.free)-1]
		}
		region := len(k.gather)
		for t := range m.done + n {
			k.gather = append(k.gather, m.row(t))
		}
		for t := m.done; t < m.done+n; t++ {
			k.token(m.at(t), t, region, region+t+1, m.row(t))
		}
		if m.done += n; m.done == m.length() {
			k.rows = append(k.rows, int32(len(k.ids)-1))
			choose = append(choose, m)
		}
	}
	if len(k.rows) == 0 { // only parts of prompts: the result is not looked at
		k.rows = append(k.rows, 0)
	}
	p, err := b.e.run(k, rowLogits, 0)
	if err != nil || len(choose) == 0 {
		return err
	}
	V := b.e.cfg.VocabSize
	b.logits = slices.Grow(b.logits[:0], len(choose)*V)[:len(choose)*V]
	if err := p.download(b.e.dev, b.logits, len(b.logits)); err != nil {
		return err
	}
	for i, m := range choose {
		if err := m.accept(b.logits[i*V : (i+1)*V]); err != nil {
			return err
		}
	}
	b.leave()
	return nil
}

// leave takes the pages of sequences that have ended.
func (b *batch) leave() {
	b.live = slices.DeleteFunc(b.live, func(m *member) bool {
		if m.out.Finish == "" {
			return false
		}
		b.free = append(b.free, m.table...)
		b.spoken -= pages(len(m.req.Prompt) + len(m.out.IDs) + m.left)
		return true
	})
}
