package cuda

import (
	"cmp"
	"math"
	"slices"
)

// attentionPlan is what the host knows of the key ranges, as the kernels over 16-bit storage read it:
// tiles that no range reaches are passed over, ranges are looked at only where a tile crosses their
// ends, and the longest tiles come first.
type attentionPlan struct {
	queries []int32 // eight for each tile of queries: its first query and its reach
	reach   []int32 // four for each tile of tensor_key_grad's queries
	keys    []int32 // four for each tile of keys: its first key, the tiles of queries [first, last) that may read it
}

func (p attentionPlan) queryTiles() int { return len(p.queries) / 8 }
func (p attentionPlan) keyTiles() int   { return len(p.keys) / 4 }

// reach is where the ranges of some queries lie: within [first, last), empty where none reads
// anything; all of them hold [low, high), empty where one reads nothing.
type reach struct{ first, last, low, high int32 }

// noReach is that of no queries.
var noReach = reach{first: math.MaxInt32, last: 0, low: 0, high: math.MaxInt32}

// with adds a query whose range is [lo, hi).
func (r reach) with(lo, hi int32) reach {
	if lo >= hi {
		r.low, r.high = math.MaxInt32, 0
		return r
	}
	return reach{min(r.first, lo), max(r.last, hi), max(r.low, lo), min(r.high, hi)}
}

func (r reach) and(o reach) reach {
	return reach{min(r.first, o.first), max(r.last, o.last), max(r.low, o.low), min(r.high, o.high)}
}

// planAttention plans the tiles of queries and, for the backward pass, those of keys.
func planAttention(a attentionOperands, backward bool) (p attentionPlan) {
	reaches := reachOf(a.lows, a.highs, a.s.Window)
	type tile struct {
		from int32
		reach
	}
	var tiles []tile
	for i := 0; i < len(reaches); i += queryTile / reachTile {
		t := tile{int32(i * reachTile), noReach}
		for _, r := range reaches[i:min(i+queryTile/reachTile, len(reaches))] {
			t.reach = t.and(r)
		}
		tiles = append(tiles, t)
	}
	slices.SortStableFunc(tiles, func(x, y tile) int { return cmp.Compare(y.last-y.first, x.last-x.first) })
	for _, t := range tiles {
		p.queries = append(p.queries, t.from, t.first, t.last, t.low, t.high, 0, 0, 0)
	}
	if backward {
		for _, r := range reaches {
			p.reach = append(p.reach, r.first, r.last, r.low, r.high)
		}
		p.keys = planKeys(reaches, a.s.Keys)
	}
	return p
}

// reachOf gives the reach of each tile of queries.
func reachOf(lo, hi []int32, window int) (out []reach) {
	for from := 0; from < len(lo); from += reachTile {
		r := noReach
		for t := from; t < min(from+reachTile, len(lo)); t++ {
			l, h := lo[t], hi[t]
			if window > 0 && int(h)-window > int(l) {
				l = h - int32(window)
			}
			r = r.with(l, h)
		}
		out = append(out, r)
	}
	return out
}

// planKeys gives each tile of keys the tiles of queries that may read it, the most read first.
func planKeys(reaches []reach, keys int) (out []int32) {
	type tile struct{ from, first, last, count int32 }
	tiles := make([]tile, (keys+keyTile-1)/keyTile)
	for i := range tiles {
		tiles[i].from = int32(i * keyTile)
	}
	for i, r := range reaches {
		if r.first >= r.last {
			continue
		}
		for j := r.first / keyTile; j <= (r.last-1)/keyTile; j++ {
			t := &tiles[j]
			if t.count == 0 {
				t.first = int32(i)
			}
			t.last = int32(i + 1)
			t.count++
		}
	}
	slices.SortStableFunc(tiles, func(x, y tile) int { return cmp.Compare(y.count, x.count) })
	for _, t := range tiles {
		out = append(out, t.from, t.first, t.last, 0)
	}
	return out
}
