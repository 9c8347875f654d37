package api

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/report/thin"
)

// maxSeries is how many series one question may ask for.
const maxSeries = 200

// seriesQuestion asks for one metric of several runs, which is what a chart shows, or for several, which is what a page of
// charts does.
type seriesQuestion struct {
	Name string `json:"name,omitempty"`
	// Instead of name: several metrics, each of every run. Then each series of the answer has its name.
	Names []string `json:"names,omitempty"`
	Runs  []string `json:"runs"`
	// The most points of each run: 8 to 100000, 2000 where it is left out.
	MaxPoints int `json:"max_points,omitempty"`
	// Steps between which points are wanted, both included; a point beyond each end comes along, to which a line is drawn.
	From *int64 `json:"from,omitempty"`
	To   *int64 `json:"to,omitempty"`
}

// seriesColumns is a run's series by columns. A value is a number, null for NaN, or "Infinity" or "-Infinity".
type seriesColumns struct {
	Name   string `json:"name,omitempty"` // where the question had names
	Run    string `json:"run"`
	Total  int64  `json:"total"` // points stored of the asked steps
	Steps  whole  `json:"steps"`
	Times  whole  `json:"times"` // Unix ms
	Values reals  `json:"values"`
}

type whole []int64

// MarshalJSON writes the numbers.
func (w whole) MarshalJSON() ([]byte, error) {
	return columnJSON(len(w), func(b []byte, i int) []byte { return strconv.AppendInt(b, w[i], 10) }), nil
}

type reals []float64

// MarshalJSON writes the numbers, and those that JSON has no word for as the API takes them.
func (r reals) MarshalJSON() ([]byte, error) {
	return columnJSON(len(r), func(b []byte, i int) []byte {
		switch v := r[i]; {
		case math.IsNaN(v):
			return append(b, "null"...)
		case math.IsInf(v, 1):
			return append(b, `"Infinity"`...)
		case math.IsInf(v, -1):
			return append(b, `"-Infinity"`...)
		default:
			return strconv.AppendFloat(b, v, 'g', -1, 64)
		}
	}), nil
}

func columnJSON(n int, add func(b []byte, i int) []byte) []byte {
	b := append(make([]byte, 0, 2+12*n), '[')
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = add(b, i)
	}
	return append(b, ']')
}

type seriesAnswers struct {
	Name  string          `json:"name,omitempty"` // where the question had one
	Items []seriesColumns `json:"items"`
}

// manySeries answers with the series that the asked runs have; a run without it, or that is no more, is left out.
func (s *Server) manySeries(c echo.Context) error {
	var in seriesQuestion
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	switch {
	case in.Name == "" && len(in.Names) == 0:
		return invalid("name is missing: which metric")
	case in.Name != "" && len(in.Names) > 0:
		return invalid("both name and names are given: leave out one")
	case slices.Contains(in.Names, ""):
		return invalid("names: one is empty")
	case len(in.Runs) == 0 || len(in.Runs) > maxSeries:
		return invalid("runs: %d, want 1 to %d", len(in.Runs), maxSeries)
	case len(in.Names)*len(in.Runs) > maxSeries:
		return invalid("%d names of %d runs are %d series, want at most %d: ask in parts", len(in.Names), len(in.Runs), len(in.Names)*len(in.Runs), maxSeries)
	case in.MaxPoints != 0 && (in.MaxPoints < 8 || in.MaxPoints > 100_000):
		return invalid("max_points %d: want a whole number from 8 to 100000", in.MaxPoints)
	case in.From != nil && in.To != nil && *in.From > *in.To:
		return invalid("from %d is after to %d", *in.From, *in.To)
	}
	if in.MaxPoints == 0 {
		in.MaxPoints = 2000
	}
	names := in.Names
	if in.Name != "" {
		names = []string{in.Name}
	}
	out := seriesAnswers{Name: in.Name, Items: make([]seriesColumns, 0, len(names)*len(in.Runs))}
	for _, name := range names {
		for _, run := range in.Runs {
			points, total, err := s.between(c.Request().Context(), run, name, in)
			if err != nil && experiments.CodeOf(err) == experiments.CodeNotFound {
				continue
			}
			if err != nil {
				return err
			}
			item := seriesColumns{Run: run, Total: total, Steps: make(whole, len(points)), Times: make(whole, len(points)), Values: make(reals, len(points))}
			if in.Name == "" {
				item.Name = name
			}
			for i, p := range points {
				item.Steps[i], item.Times[i], item.Values[i] = p.Step, p.Time, p.Value
			}
			out.Items = append(out.Items, item)
		}
	}
	return sendJSON(c, http.StatusOK, out)
}

// between reads a run's series, thinned, of the asked steps, and how many points those have.
func (s *Server) between(ctx context.Context, run, name string, in seriesQuestion) ([]experiments.Point, int64, error) {
	if in.From == nil && in.To == nil {
		return thinned(ctx, s.store, run, name, in.MaxPoints)
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if in.From != nil {
		from = *in.From
	}
	if in.To != nil {
		to = *in.To
	}
	var inside []experiments.Point
	var left, right *experiments.Point // the nearest outside
	err := s.store.Points(ctx, run, name, func(_ int64, part []experiments.Point) error {
		for _, p := range part {
			switch {
			case p.Step < from:
				if left == nil || p.Step >= left.Step {
					left = &p
				}
			case p.Step > to:
				if right == nil || p.Step < right.Step {
					right = &p
				}
			default:
				inside = append(inside, p)
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	out := make([]experiments.Point, 0, min(len(inside), in.MaxPoints)+2)
	if left != nil {
		out = append(out, *left)
	}
	out = append(out, thin.Points(inside, in.MaxPoints)...)
	if right != nil {
		out = append(out, *right)
	}
	return out, int64(len(inside)), nil
}
