package report

import (
	"math"

	"triality/experiments"
)

// interval is a difference drawn in a cell beside its figures: places are in units of the drawing, 0 to drawnWidth.
type interval struct {
	Low, At, High, Zero string
	Span                string // width of the line from Low to High
	Better, BetterSpan  string // where B is better
	Margin              string // empty: none
	Tone                string // good, bad or open

	from, to float64 // scale
}

const drawnWidth = 150

var tonesOfReadings = map[string]string{experiments.ReadingBetter: "good", experiments.ReadingWorse: "bad", experiments.ReadingNoClear: "open"}

// intervalsOf draws differences; shares have one scale, and every other metric its own. nil where an end is not known.
func intervalsOf(ds []experiments.Difference) []*interval {
	out := make([]*interval, len(ds))
	low, high := 0.0, 0.0
	known := func(d experiments.Difference) bool {
		return finite(d.Low) != nil && finite(d.High) != nil && finite(d.Delta) != nil
	}
	for _, d := range ds {
		if known(d) && isShare(d.Metric) {
			low, high = math.Min(low, d.Low), math.Max(high, d.High)
		}
	}
	for i, d := range ds {
		if !known(d) {
			continue
		}
		v := &interval{from: low, to: high}
		if !isShare(d.Metric) {
			v.from, v.to = math.Min(0, d.Low), math.Max(0, d.High)
		}
		if v.to-v.from < 1e-12 {
			v.from, v.to = -1, 1
		}
		pad := 0.08 * (v.to - v.from)
		v.from, v.to = v.from-pad, v.to+pad
		v.Low, v.At, v.High, v.Zero = v.x(d.Low), v.x(d.Delta), v.x(d.High), v.x(0)
		v.Span = fixed(v.place(d.High)-v.place(d.Low), 1)
		v.Better, v.BetterSpan = v.Zero, fixed(drawnWidth-v.place(0), 1)
		if d.Better == "lower" {
			v.Better, v.BetterSpan = "0", v.Zero
		}
		switch up := d.Better != "lower"; {
		case d.Reading != "": // it may follow a corrected p-value
			v.Tone = tonesOfReadings[d.Reading]
		case d.Low <= 0 && d.High >= 0:
			v.Tone = "open"
		case d.Low > 0 == up:
			v.Tone = "good"
		default:
			v.Tone = "bad"
		}
		out[i] = v
	}
	return out
}

// margin marks what the design asks of a comparison, where that is on the scale.
func (v *interval) margin(c experiments.Comparison) {
	if v == nil || c.Role == experiments.RoleSecondary {
		return
	}
	m := c.Margin // B is to be better by more than this, or
	if c.Claim != experiments.ClaimSuperiority {
		m = -m // not worse than this
	}
	if c.Better == "lower" {
		m = -m
	}
	if m != 0 && m > v.from && m < v.to {
		v.Margin = v.x(m)
	}
}

func (v *interval) place(x float64) float64 { return drawnWidth * (x - v.from) / (v.to - v.from) }
func (v *interval) x(x float64) string      { return fixed(v.place(x), 1) }
