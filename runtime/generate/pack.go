package generate

import (
	"fmt"

	"triality/runtime/device"
)

// maxGraphs bounds the compiled graphs of packs: their sizes come in more combinations than those of
// single sequences.
const maxGraphs = 64

// pack is the tokens of several sequences that go through the model at once. Each sequence attends to
// cache rows that are gathered for it, wherever they lie.
type pack struct {
	ids, pos, lo, hi, slots []int32 // of the tokens; lo and hi count gathered rows
	gather                  []int32 // cache rows
	rows, labels            []int32 // of the result: a token, and with rowScores its label
}

func (k *pack) reset() {
	for _, s := range []*[]int32{&k.ids, &k.pos, &k.lo, &k.hi, &k.slots, &k.gather, &k.rows, &k.labels} {
		*s = (*s)[:0]
	}
}

func (k *pack) token(id int32, pos, lo, hi int, slot int32) {
	k.ids = append(k.ids, id)
	k.pos = append(k.pos, int32(pos))
	k.lo, k.hi = append(k.lo, int32(lo)), append(k.hi, int32(hi))
	k.slots = append(k.slots, slot)
}

// run computes the pack's result. Padding writes into the cache row waste, which nothing gathers.
func (e *Engine) run(k *pack, what kind, waste int32) (*pass, error) {
	key := passKey{what, bucket(len(k.ids)), bucket(len(k.gather)), bucket(len(k.rows))}
	if e.passes[key] == nil && len(e.passes) >= maxGraphs {
		e.dropPasses(func(k passKey) bool { return k.keys > 0 })
	}
	p, err := e.pass(key)
	if err != nil {
		return nil, err
	}
	at := 0
	part := func(from []int32, n int, padding int32) {
		to := p.ints[at : at+n]
		for i := copy(to, from); i < n; i++ {
			to[i] = padding
		}
		at += n
	}
	part(k.ids, key.T, 0)
	part(k.pos, key.T, 0)
	part(k.lo, key.T, 0)
	part(k.hi, key.T, 0) // sees nothing
	part(k.slots, key.T, waste)
	part(k.gather, key.keys, waste)
	part(k.rows, key.R, 0)
	if what == rowScores {
		part(k.labels, key.R, -1)
	}
	return p, p.run(e.dev)
}

// download reads the first n numbers of a pass's result.
func (p *pass) download(dev device.Device, to any, n int) error {
	if err := dev.Download(to, p.m.Output(p.out).Slice(0, n)); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}
