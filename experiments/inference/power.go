package inference

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Plan is what is known, or supposed, before a test of the difference of two paired shares.
type Plan struct {
	Discordant   float64 // share of the rows on which one arm alone meets the condition, 0 to 1
	DesignEffect float64 // variance over that of independent rows; 1 where each row is a cluster of its own
	Alpha        float64 // two-sided
	Margin       float64 // the difference has to be more than this; below 0 for non-inferiority
}

// Power is the chance of showing that B − A is more than the margin when it is delta, on n rows. With margin 0 it is
// that of the exact test: the discordant rows are binomial, and given them the test is (Lachin 1992 compares the ways of
// computing it). Else it is the normal approximation.
func (p Plan) Power(n int, delta float64) float64 {
	rows := float64(n) / math.Max(p.DesignEffect, 1e-9)
	psi := math.Min(1, math.Max(p.Discordant, math.Abs(delta)))
	if psi == 0 {
		if p.Margin < 0 && rows > 0 {
			return 1 // the two say the same of every row
		}
		return 0
	}
	if p.Margin != 0 {
		spread := math.Sqrt(math.Max(psi-delta*delta, 1e-12) / rows)
		return distuv.UnitNormal.CDF((delta-p.Margin)/spread - Normal(1-p.Alpha/2))
	}
	whole := int(math.Round(rows))
	discordant, forB := distuv.Binomial{N: float64(whole), P: psi}, (psi+delta)/2/psi
	power := 0.0
	middle, reach := float64(whole)*psi, 10*math.Sqrt(float64(whole)*psi*(1-psi))+10
	for d := max(1, int(middle-reach)); d <= min(whole, int(middle+reach)); d++ {
		least := leastShown(d, p.Alpha)
		if least > d {
			continue
		}
		power += discordant.Prob(float64(d)) * (1 - distuv.Binomial{N: float64(d), P: forB}.CDF(float64(least-1)))
	}
	return math.Min(1, power)
}

// leastShown is how many of d discordant rows have to speak for B so that the exact two-sided test rejects at alpha;
// d+1 where none do.
func leastShown(d int, alpha float64) int {
	fair := distuv.Binomial{N: float64(d), P: 0.5}
	low, high := d/2, d+1
	for low+1 < high {
		if mid := (low + high) / 2; 2*fair.CDF(float64(d-mid)) < alpha {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// mostRows is where searches for a number of rows end.
const mostRows = 10_000_000

// Rows is the least number of rows for a power when the difference is delta; 0 where ten million do not do.
func (p Plan) Rows(power, delta float64) int {
	high := 1
	for ; p.Power(high, delta) < power; high *= 2 {
		if high > mostRows {
			return 0
		}
	}
	low := high / 2
	for low+1 < high {
		if mid := (low + high) / 2; p.Power(mid, delta) >= power {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// Smallest is the least difference that n rows show with a power; NaN where none is.
func (p Plan) Smallest(n int, power float64) float64 {
	low, high := p.Margin, 1.0
	if p.Power(n, high) < power {
		return math.NaN()
	}
	for range 50 {
		if mid := (low + high) / 2; p.Power(n, mid) >= power {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// MoreRows is about how many rows more would show, with a power, that a figure whose difference is gap beyond the
// margin and has standard error se on n rows is so, if it is what it looks like: the error falls with the root of the
// rows. It is 0 where the gap is not on the side that is to be shown, or more than ten million would be needed.
func MoreRows(n int, gap, se, alpha, power float64) int {
	if !(gap > 0) || !(se > 0) || math.IsInf(se, 1) {
		return 0
	}
	times := (Normal(1-alpha/2) + Normal(power)) * se / gap
	more := float64(n) * (times*times - 1)
	if more < 2 {
		return 2 // the approximation calls it shown; the small-sample interval does not
	}
	if more > mostRows {
		return 0
	}
	return int(math.Ceil(more))
}
