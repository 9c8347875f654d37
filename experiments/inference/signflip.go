package inference

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"
)

const (
	enumerated   = 16      // clusters up to which all sign assignments are counted: 65,536
	convolved    = 200e6   // steps up to which the exact distribution of whole numbers is made
	assignments  = 19_999  // drawn where there are too many to count
	equalWithin  = 1e-9    // of the largest possible sum: sums that differ by less are ties
	largestWhole = 1 << 20 // sums up to which a distribution is tabulated
)

// Test is the outcome of a test.
type Test struct {
	P     float64 // two-sided
	Exact bool    // every assignment was counted; else a seeded sample of them
}

// SignFlip tests whether the sums of clusters are symmetric about 0, as the differences B − A are when the arms can be
// exchanged within each cluster: how many of the assignments of signs to the clusters give a total at least as far from
// 0 (Fisher 1935, §21; Winkler et al. 2015 for whole-block flips). The total's distribution is exact for whole
// numbers, such as rows right minus rows wrong, where with clusters of one row the test is the exact McNemar test; and
// for other sums of up to 16 clusters. Else 19,999 assignments are drawn and counted with the one seen
// (Phipson & Smyth 2010).
func SignFlip(sums []float64, seed uint64) Test {
	var sizes []float64
	total, reach := 0.0, 0.0
	whole, ones := true, true
	for _, s := range sums {
		if s == 0 {
			continue
		}
		sizes = append(sizes, math.Abs(s))
		total += s
		reach += math.Abs(s)
		whole = whole && s == math.Trunc(s)
		ones = ones && math.Abs(s) == 1
	}
	far := math.Abs(total) - equalWithin*reach
	switch {
	case len(sizes) == 0 || far <= 0:
		return Test{P: 1, Exact: true}
	case ones:
		n := len(sizes)
		least := (n - int(math.Abs(total))) / 2
		return Test{P: math.Min(1, 2*distuv.Binomial{N: float64(n), P: 0.5}.CDF(float64(least))), Exact: true}
	case whole && reach <= largestWhole && reach*float64(len(sizes)) <= convolved:
		return Test{P: wholeTail(sizes, int(reach), math.Abs(total)), Exact: true}
	case len(sizes) <= enumerated:
		return Test{P: enumeratedTail(sizes, far), Exact: true}
	}
	return Test{P: drawnTail(sizes, far, seed)}
}

// wholeTail is P(|Σ ±s| ≥ far) for whole numbers s, from the distribution of the part that keeps its sign.
func wholeTail(sizes []float64, reach int, far float64) float64 {
	p := make([]float64, reach+1) // of the sum of what is positive
	p[0] = 1
	top := 0
	for _, s := range sizes {
		k := int(s)
		for i := top; i >= 0; i-- {
			half := p[i] / 2
			p[i] = half
			p[i+k] += half // i+k is above i, so it was halved before, or is new
		}
		top += k
	}
	tail := 0.0
	for i, v := range p {
		if math.Abs(float64(2*i-reach)) >= far-0.5 {
			tail += v
		}
	}
	return math.Min(1, tail)
}

// enumeratedTail counts all assignments; by symmetry the first sign is fixed. Gray's order changes one sign at a time.
func enumeratedTail(sizes []float64, far float64) float64 {
	sum := 0.0
	for _, s := range sizes {
		sum += s
	}
	signs := make([]float64, len(sizes))
	for i := range signs {
		signs[i] = 1
	}
	all := 1 << (len(sizes) - 1)
	count := 0
	for k := 1; ; k++ {
		if math.Abs(sum) >= far {
			count++
		}
		if k == all {
			break
		}
		i := 1 + bits.TrailingZeros(uint(k))
		sum -= 2 * signs[i] * sizes[i]
		signs[i] = -signs[i]
	}
	return float64(count) / float64(all)
}

func drawnTail(sizes []float64, far float64, seed uint64) float64 {
	rng := rand.New(rand.NewPCG(seed, 0x666c6970)) // "flip": a stream of its own
	count := 1
	for range assignments {
		sum := 0.0
		var random uint64
		for i, s := range sizes {
			if i%64 == 0 {
				random = rng.Uint64()
			}
			sum += s * (1 - 2*float64(random&1))
			random >>= 1
		}
		if math.Abs(sum) >= far {
			count++
		}
	}
	return float64(count) / (assignments + 1)
}
