package dataset

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"unicode"
)

// shingle is the length, in characters, of the pieces that two texts are compared by.
const shingle = 5

// isNear says whether two sets of a and b elements of which common are in both have a Jaccard similarity of
// at least 0.7: common / (a + b − common) ≥ 7/10, in whole numbers.
func isNear(a, b, common int) bool { return 17*common >= 7*(a+b) }

// needed is the least number of common elements with which sets of a and b elements are near.
func needed(a, b int) int { return (7*(a+b) + 16) / 17 }

// least is the size of the smallest set that can be near one of a elements.
func least(a int) int { return (7*a + 9) / 10 }

// roll is the base of the rolling hash: any odd number with well mixed bits.
const roll = 0x9e3779b97f4a7c15

// shingler lists texts' shingles; each goroutine has its own.
type shingler struct {
	runes []uint64
	out   []uint64
}

// of gives a hash of each shingle of the text, lower-cased and with white space folded, in order and with
// repeats; a text that is not longer than one is one shingle. The slice holds until the next call.
func (s *shingler) of(text string) []uint64 {
	s.runes, s.out = s.runes[:0], s.out[:0]
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			space = len(s.runes) > 0
			continue
		}
		if space {
			s.runes, space = append(s.runes, ' '), false
		}
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		} else if r > unicode.MaxASCII {
			r = unicode.ToLower(r)
		}
		s.runes = append(s.runes, uint64(r))
	}
	if len(s.runes) <= shingle {
		h := uint64(len(s.runes)) << 32
		for _, r := range s.runes {
			h = h*roll + r
		}
		return append(s.out, mix(h+1))
	}
	gone := uint64(1)
	for range shingle {
		gone *= roll
	}
	h := uint64(0)
	for i, r := range s.runes {
		h = h*roll + r
		if i >= shingle {
			h -= s.runes[i-shingle] * gone
		}
		if i >= shingle-1 {
			s.out = append(s.out, mix(h))
		}
	}
	return s.out
}

// mix is the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fnv64 is FNV-1a: the split depends on it, so it must not change from run to run.
func fnv64(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// set is one text's shingles, each once, to count those of another text in.
type set struct {
	keys  []uint64 // open addressing; 0 is free
	marks []uint32 // the last text that a key was seen in
	texts uint32
	size  int
}

// fill makes s the set of the shingles.
func (s *set) fill(shingles []uint64) {
	room := 16
	for room < 2*len(shingles) {
		room *= 2
	}
	if cap(s.keys) < room {
		s.keys, s.marks = make([]uint64, room), make([]uint32, room)
	}
	s.keys, s.marks = s.keys[:room], s.marks[:room]
	clear(s.keys)
	clear(s.marks)
	s.texts, s.size = 0, 0
	for _, h := range shingles {
		if i := s.at(h | 1); s.keys[i] == 0 {
			s.keys[i] = h | 1
			s.size++
		}
	}
}

// at is where a key is, or would be.
func (s *set) at(key uint64) int {
	mask := len(s.keys) - 1
	i := int(key>>32) & mask
	for s.keys[i] != 0 && s.keys[i] != key {
		i = (i + 1) & mask
	}
	return i
}

// common counts the set's elements among another text's shingles.
func (s *set) common(shingles []uint64) int {
	s.texts++
	n := 0
	for _, h := range shingles {
		if i := s.at(h | 1); s.keys[i] != 0 && s.marks[i] != s.texts {
			s.marks[i] = s.texts
			n++
		}
	}
	return n
}

// each calls do for 0 … n−1 on all processors, with the goroutine's number; the first error ends it.
func each(ctx context.Context, n int, do func(worker, i int) error) error {
	workers := min(runtime.GOMAXPROCS(0), n)
	chunk := max(1, min(64, n/(4*max(1, workers))))
	var next atomic.Int64
	var once sync.Once
	var first error
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for {
				from := int(next.Add(int64(chunk))) - chunk
				if from >= n {
					return
				}
				err := ctx.Err()
				for i := from; i < min(from+chunk, n) && err == nil; i++ {
					err = do(w, i)
				}
				if err != nil {
					once.Do(func() { first = err })
					next.Store(int64(n))
					return
				}
			}
		})
	}
	all.Wait()
	return first
}
