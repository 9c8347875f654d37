package cuda

import (
	"math"
	"math/rand/v2"
	"testing"

	"triality/runtime/device"
)

// planned is an attention call as the plan sees it.
func planned(lo, hi []int32, keys, window int) attentionOperands {
	return attentionOperands{lows: lo, highs: hi,
		s: device.AttentionShape{Queries: len(lo), Keys: keys, Heads: 2, KVHeads: 1, HeadDim: 64, Scale: 1, Window: window}}
}

func TestThePlanOfAttentionHoldsEveryRange(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		queries, keys, window := r.IntN(700), 1+r.IntN(900), r.IntN(3)*r.IntN(300)
		lo, hi := make([]int32, queries), make([]int32, queries)
		for i := range lo {
			lo[i], hi[i] = int32(r.IntN(keys+1)), int32(r.IntN(keys+1)) // many are empty
		}
		p := planAttention(planned(lo, hi, keys, window), true)
		reads := func(t, key int) bool { // by the definition
			l := int(lo[t])
			if window > 0 {
				l = max(l, int(hi[t])-window)
			}
			return key >= l && key < int(hi[t])
		}
		seen := make([]int, queries)
		last := int32(math.MaxInt32)
		for i := range p.queryTiles() {
			e := p.queries[8*i:]
			if n := max(0, e[2]-e[1]); n > last {
				t.Fatalf("a tile of %d keys comes after one of %d", n, last)
			} else {
				last = n
			}
			for t0 := int(e[0]); t0 < min(int(e[0])+queryTile, queries); t0++ {
				seen[t0]++
				for key := range keys {
					if reads(t0, key) && (int32(key) < e[1] || int32(key) >= e[2]) {
						t.Fatalf("query %d reads key %d, outside its tile's [%d,%d)", t0, key, e[1], e[2])
					}
					if !reads(t0, key) && int32(key) >= e[3] && int32(key) < e[4] {
						t.Fatalf("query %d does not read key %d, inside its tile's whole [%d,%d)", t0, key, e[3], e[4])
					}
				}
			}
		}
		for t0, n := range seen {
			if n != 1 {
				t.Fatalf("query %d is in %d tiles", t0, n)
			}
		}
		if want := (keys + keyTile - 1) / keyTile; p.keyTiles() != want {
			t.Fatalf("%d tiles of %d keys, want %d", p.keyTiles(), keys, want)
		}
		for i := range p.keyTiles() {
			e := p.keys[4*i:]
			for t0 := range queries {
				tile := int32(t0 / reachTile)
				reach := p.reach[4*tile:]
				for key := int(e[0]); key < min(int(e[0])+keyTile, keys); key++ {
					if reads(t0, key) && (tile < e[1] || tile >= e[2] || int32(key) < reach[0] || int32(key) >= reach[1]) {
						t.Fatalf("key %d of a tile read by [%d,%d) is read by query %d of tile %d", key, e[1], e[2], t0, tile)
					}
				}
			}
		}
	}
}

func TestOnlyStepsOfGenerationShareAQuerysKeysOut(t *testing.T) {
	causal := func(start, n int) (lo, hi []int32) {
		for i := range n {
			lo, hi = append(lo, 0), append(hi, int32(start+i+1))
		}
		return lo, hi
	}
	many := func(n, each int) (lo, hi []int32) {
		for i := range n {
			lo, hi = append(lo, int32(i*each)), append(hi, int32((i+1)*each))
		}
		return lo, hi
	}
	for name, c := range map[string]struct {
		ranges       func() (lo, hi []int32)
		keys, window int
		want         bool
	}{
		"one query":                         {func() ([]int32, []int32) { return causal(4000, 1) }, 8192, 0, true},
		"one query under a window":          {func() ([]int32, []int32) { return causal(4000, 1) }, 8192, 256, true},
		"a query to each of many sequences": {func() ([]int32, []int32) { return many(256, 512) }, 256 * 512, 0, true},
		"a prompt into an empty cache":      {func() ([]int32, []int32) { return causal(0, 512) }, 8192, 0, false},
		"a part of a prompt":                {func() ([]int32, []int32) { return causal(4000, 512) }, 8192, 0, false},
		"training":                          {func() ([]int32, []int32) { return causal(0, 4) }, 4, 0, false},
		"no query":                          {func() ([]int32, []int32) { return nil, nil }, 8192, 0, false},
	} {
		lo, hi := c.ranges()
		if got := decodes(planned(lo, hi, c.keys, c.window)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Shared memory of a block, by compute capability, as in the test of heads up to 256.
func TestKernelsOverSixteenBitsFitEveryCard(t *testing.T) {
	for capability, c := range map[string]struct{ shared, forward, keyGrad int }{
		"8.0": {163 << 10, 1, 2}, "8.6": {99 << 10, 1, 1}, "9.0": {227 << 10, 2, 2},
	} {
		for name, bytes := range attentionKernels(c.shared) {
			if bytes > c.shared {
				t.Errorf("%s takes %d bytes on %s", name, bytes, capability)
			}
		}
		if capability == "9.0" {
			for name, bytes := range warpgroupKernels() {
				if bytes > c.shared {
					t.Errorf("%s takes %d bytes on %s", name, bytes, capability)
				}
			}
		}
		if f, k := forwardStages(128, c.shared), keyGradStages(128, c.shared); f != c.forward || k != c.keyGrad {
			t.Errorf("%s runs %d and %d stages, want %d and %d", capability, f, k, c.forward, c.keyGrad)
		}
	}
}
