package linearsvm

import (
	"math"
	"regexp"
	"slices"
	"strings"
)

// minGram and maxGram are the n-gram lengths, in characters.
const (
	minGram = 1
	maxGram = 5
)

var runsOfSpace = regexp.MustCompile(`[\s\p{Z}\v\x1c-\x1f\x85]{2,}`)

// features numbers the n-grams of the training texts and knows how rare each is.
type features struct {
	number map[string]int32
	idf    []float64
}

// feature is one n-gram of a text and its weight.
type feature struct {
	of     int32
	weight float64
}

// newFeatures also gives the vectors of the texts.
func newFeatures(texts []string) (*features, [][]feature) {
	f := &features{number: map[string]int32{}}
	counts := make([][]feature, len(texts))
	var documents []float64
	for i, text := range texts {
		of := map[int32]float64{}
		grams(text, func(g string) {
			n, ok := f.number[g]
			if !ok {
				n = int32(len(f.number))
				f.number[g] = n
				documents = append(documents, 0)
			}
			of[n]++
		})
		for n := range of {
			documents[n]++
		}
		counts[i] = inOrder(of)
	}
	f.idf = make([]float64, len(documents))
	for n, d := range documents {
		f.idf[n] = math.Log((1+float64(len(texts)))/(1+d)) + 1
	}
	for _, c := range counts {
		f.weigh(c)
	}
	return f, counts
}

// vector is a text's; n-grams never seen in training are left out.
func (f *features) vector(text string) []feature {
	of := map[int32]float64{}
	grams(text, func(g string) {
		if n, ok := f.number[g]; ok {
			of[n]++
		}
	})
	v := inOrder(of)
	f.weigh(v)
	return v
}

// weigh turns counts into (1 + ln count) · idf, of length 1 (Manning, Raghavan & Schütze 2008, §6.4).
func (f *features) weigh(v []feature) {
	squares := 0.0
	for i := range v {
		v[i].weight = (1 + math.Log(v[i].weight)) * f.idf[v[i].of]
		squares += v[i].weight * v[i].weight
	}
	for i := range v {
		v[i].weight /= math.Sqrt(squares)
	}
}

// inOrder keeps sums from depending on a map's order.
func inOrder(of map[int32]float64) []feature {
	out := make([]feature, 0, len(of))
	for n, c := range of {
		out = append(out, feature{n, c})
	}
	slices.SortFunc(out, func(a, b feature) int { return int(a.of) - int(b.of) })
	return out
}

// grams visits the n-grams of a text in lower case, runs of white space being one space.
func grams(text string, visit func(string)) {
	lower := runsOfSpace.ReplaceAllString(strings.ToLower(text), " ")
	var at []int // where each character begins
	for i := range lower {
		at = append(at, i)
	}
	at = append(at, len(lower))
	for n := minGram; n <= maxGram; n++ {
		for i := 0; i+n < len(at); i++ {
			visit(lower[at[i]:at[i+n]])
		}
	}
}
