package search

import (
	"math"

	"triality/server/search/query"
)

// MeanOver is how many of a series' last points its mean is over.
const MeanOver = 10

// Stats is a metric series in few numbers. Least, Greatest and Mean are of the points that are finite: a value that
// diverged is nobody's best. They are NaN where there is none.
type Stats struct {
	Last     float64 // as it was logged, NaN and infinities too
	Least    float64
	Greatest float64
	Mean     float64 // of the finite ones among the last MeanOver points
	Count    uint64  // of all points
}

// Direction says whether greater or lesser values of a metric are better.
type Direction string

// The directions.
const (
	Unknown Direction = ""
	Higher  Direction = "higher"
	Lower   Direction = "lower"
	Neither Direction = "none"
)

// fold gives one number of a series; ok is false where it has none, as with the best of a metric whose direction
// is unknown.
func (s *Stats) fold(f query.Fold, d Direction) (v float64, ok bool) {
	switch f {
	case query.Min:
		v = s.Least
	case query.Max:
		v = s.Greatest
	case query.Mean:
		v = s.Mean
	case query.Count:
		return float64(s.Count), true
	case query.Best:
		switch d {
		case Higher:
			v = s.Greatest
		case Lower:
			v = s.Least
		default:
			return 0, false
		}
	default:
		return s.Last, true
	}
	return v, !math.IsNaN(v)
}
