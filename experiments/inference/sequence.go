package inference

import "math"

// bets are the shares, of the most that can be lost, that are bet.
var bets = func() (out []float64) {
	for share := 0.99; share > 0.01; share /= math.Sqrt2 {
		out = append(out, share)
	}
	return out
}()

// Sequence watches the mean difference of rows as clusters come in, and may be looked at after each without spending
// more than its error budget. It bets against each difference that the next cluster shows more, or less: where that
// difference is true no strategy multiplies its stake by 1/α with a chance above α, at whatever time one looks (Ville
// 1939). The bets are constant shares of the wealth, mixed with equal weights, and hedged in two directions
// (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting", the hedged capital process with
// a grid of bets; Robbins' mixtures).
type Sequence struct {
	largest     float64 // rows of a cluster at most
	sums, sizes []float64
	rows        float64
	null        float64
	up, down    []float64 // logarithms of the wealth of each bet that the difference is above, or below, null
}

// NewSequence watches rows whose differences are from −1 to 1, in clusters of at most largest rows. What is tested is
// that the mean difference is null.
func NewSequence(largest int, null float64) *Sequence {
	return &Sequence{largest: float64(max(1, largest)), null: null, up: make([]float64, len(bets)), down: make([]float64, len(bets))}
}

// Observe takes a cluster: the sum of its rows' differences, and their number. A cluster must not be chosen by what it
// holds, and more rows than were promised are refused.
func (s *Sequence) Observe(sum float64, rows int) {
	if float64(rows) > s.largest || math.Abs(sum) > float64(rows) {
		panic("inference: a cluster has more rows than the sequence was told, or a difference above 1")
	}
	x, w := sum/s.largest, float64(rows)/s.largest
	s.sums, s.sizes, s.rows = append(s.sums, x), append(s.sizes, w), s.rows+float64(rows)
	for i, bet := range bets {
		s.up[i] += gain(bet, 1, x, w, s.null)
		s.down[i] += gain(bet, -1, x, w, s.null)
	}
}

// gain is the logarithm of what a bet that the difference is above null (direction 1) or below it (−1) multiplies its
// stake by. The bet is a share of the most that can be lost, so that the stake stays above 0; and the gain falls as the
// null moves in the direction, so that what is not rejected is an interval.
func gain(bet, direction, x, w, null float64) float64 {
	x, null = direction*x, direction*null
	return math.Log1p(bet * (x - null*w) / (1 + math.Max(0, null)))
}

// E is the evidence against the null: its mean is at most 1 under it at any stopping time, so that 1/E is a p-value that
// holds whenever one looks. Above gives the evidence that the difference is above the null, below that it is below.
func (s *Sequence) E() (above, below float64) { return wealth(s.up), wealth(s.down) }

// P is the two-sided p-value that holds whenever one looks; it is not the smallest of those seen so far.
func (s *Sequence) P() float64 {
	above, below := s.E()
	return math.Min(1, 2/math.Max(math.Max(above, below), 1e-300)) // half of the budget for each direction
}

// wealth is the mean of what the bets have become.
func wealth(logs []float64) float64 {
	top := math.Inf(-1)
	for _, v := range logs {
		top = math.Max(top, v)
	}
	sum := 0.0
	for _, v := range logs {
		sum += math.Exp(v - top)
	}
	return math.Exp(math.Min(700, top)) * sum / float64(len(logs))
}

// Interval is the confidence sequence now: all differences against which the bets have not won. Over all times together
// it misses the true one with a chance of at most 1 − level.
func (s *Sequence) Interval(level float64) Interval {
	stake := 2 / (1 - level) // half of the budget for each direction
	edge := func(direction float64, inside, outside float64) float64 {
		if s.capital(direction, outside) < stake {
			return outside
		}
		for range 40 {
			if mid := (inside + outside) / 2; s.capital(direction, mid) < stake {
				inside = mid
			} else {
				outside = mid
			}
		}
		return outside
	}
	low, high := edge(1, 1, -1), edge(-1, -1, 1)
	if low > high { // chance of at most 1 − level
		low, high = high, low
	}
	return Interval{low, high}
}

// capital is what the bets in a direction have become against a difference: it falls as that moves in the direction.
func (s *Sequence) capital(direction, null float64) float64 {
	logs := make([]float64, len(bets))
	for i, bet := range bets {
		for k, x := range s.sums {
			logs[i] += gain(bet, direction, x, s.sizes[k], null)
		}
	}
	return wealth(logs)
}
