package store

import (
	"math"

	"triality/experiments"
)

// repeatReach is how many points, beside four times those that come, are looked at for repeats: a retry
// comes soon.
const repeatReach = 16_384

// identity is what two points have in common when one is the other's retry.
type identity struct {
	moment
	value uint64
}

func identityOf(p experiments.Point) identity {
	return identity{momentOf(p), math.Float64bits(p.Value)}
}

// withoutRepeats leaves out the points that the series holds already. Those beyond its greatest step, as
// nearly all are, need no looking up. Points that are equal among themselves are kept.
func withoutRepeats(t *txn, h *head, points []experiments.Point) ([]experiments.Point, error) {
	if !h.topKnown {
		if err := measure(func(i uint32) []byte { return t.Bucket(bucketPoints).Get(chunkKey(h.id, i)) }, h); err != nil {
			return nil, err
		}
	}
	maybe, found := map[identity]bool{}, map[identity]bool{}
	for _, p := range points {
		if !momentOf(p).after(h.top) {
			maybe[identityOf(p)] = true
		}
	}
	if len(maybe) == 0 {
		return points, nil
	}
	left := repeatReach + 4*len(points)
	var chunk []experiments.Point
	for i := h.chunks; i > 0 && left > 0 && len(found) < len(maybe); i-- {
		var err error
		if chunk, err = decodeChunk(chunk[:0], t.Bucket(bucketPoints).Get(chunkKey(h.id, i-1))); err != nil {
			return nil, err
		}
		left -= len(chunk)
		for _, p := range chunk {
			if id := identityOf(p); maybe[id] {
				found[id] = true
			}
		}
	}
	if len(found) == 0 {
		return points, nil
	}
	fresh := make([]experiments.Point, 0, len(points))
	for _, p := range points {
		if !found[identityOf(p)] {
			fresh = append(fresh, p)
		}
	}
	return fresh, nil
}
