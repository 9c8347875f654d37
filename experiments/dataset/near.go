package dataset

import (
	"slices"
	"strings"
	"unicode"
)

// nearThreshold is the Jaccard similarity of character 5-gram sets from which two texts are
// near-duplicates.
const nearThreshold = 0.7

const (
	shingle = 5
	// 20 bands of 4 rows find a pair of similarity 0.7 with probability 0.996; candidates are then
	// compared exactly, so nothing is found that is not there.
	bands    = 20
	bandRows = 4
)

// Pair is two near-duplicate texts by index, I < J.
type Pair struct {
	I, J       int
	Similarity float64
}

// NearDuplicates finds the pairs of texts whose character 5-gram sets, lower-cased and with white
// space folded, have a Jaccard similarity of at least 0.7 (MinHash banding, then the exact value).
func NearDuplicates(texts []string) []Pair {
	sets := make([][]uint64, len(texts))
	buckets := map[[2]uint64][]int{}
	for i, t := range texts {
		sets[i] = shingles(t)
		for b := range bands {
			key := [2]uint64{uint64(b), bandHash(sets[i], b)}
			buckets[key] = append(buckets[key], i)
		}
	}
	seen := map[[2]int]bool{}
	var pairs []Pair
	for _, members := range buckets {
		for a := range members {
			// A bucket of one text repeated n times needs n−1 comparisons to join them, not n².
			for b := a + 1; b < min(len(members), a+16); b++ {
				key := [2]int{members[a], members[b]}
				if seen[key] {
					continue
				}
				seen[key] = true
				if s := jaccard(sets[key[0]], sets[key[1]]); s >= nearThreshold {
					pairs = append(pairs, Pair{key[0], key[1], s})
				}
			}
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int {
		if a.I != b.I {
			return a.I - b.I
		}
		return a.J - b.J
	})
	return pairs
}

// shingles is the sorted set of hashes of the text's 5-grams; a shorter text is one shingle.
func shingles(text string) []uint64 {
	folded := []rune(strings.Join(strings.FieldsFunc(strings.ToLower(text), unicode.IsSpace), " "))
	if len(folded) <= shingle {
		return []uint64{fnv64(string(folded))}
	}
	set := make([]uint64, 0, len(folded))
	for i := 0; i+shingle <= len(folded); i++ {
		set = append(set, fnv64(string(folded[i:i+shingle])))
	}
	slices.Sort(set)
	return slices.Compact(set)
}

func bandHash(set []uint64, band int) uint64 {
	h := uint64(14695981039346656037)
	for r := range bandRows {
		salt := mix(uint64(band*bandRows+r) + 1)
		low := ^uint64(0)
		for _, s := range set {
			low = min(low, mix(s^salt))
		}
		h = mix(h ^ low)
	}
	return h
}

func jaccard(a, b []uint64) float64 {
	common := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			common, i, j = common+1, i+1, j+1
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	return float64(common) / float64(len(a)+len(b)-common)
}

// fnv64 is FNV-1a: the split depends on it, so it must not change from run to run.
func fnv64(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix is the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
