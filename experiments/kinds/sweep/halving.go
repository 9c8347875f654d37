package sweep

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"go.yaml.in/yaml/v3"

	"triality/experiments/graph"
)

// Budget is what each round of successive halving gives its points more of.
type Budget struct {
	Key string  `yaml:"key" doc:"key of the step that is the budget, such as training.num_train_epochs"`
	Min float64 `yaml:"min" doc:"least that a point gets"`
	Max float64 `yaml:"max" doc:"what the last round gives"`
}

// rounds are the budgets, smallest first: max, max/eta, max/eta² and so on down to min, in whole numbers where both ends
// are (Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016).
func (b *Body) rounds() ([]*yaml.Node, error) {
	fail := func(format string, args ...any) ([]*yaml.Node, error) {
		return nil, graph.At("budget", fmt.Errorf(format, args...))
	}
	if b.Method != Halving {
		if b.Budget != (Budget{}) {
			return fail("is of method: halving")
		}
		return []*yaml.Node{nil}, nil
	}
	m := b.Budget
	switch {
	case m.Key == "":
		return fail("is needed: key, min and max of what each round gives more of, such as {key: training.num_train_epochs, min: 1, max: 9}")
	case !(m.Min > 0) || math.IsInf(m.Max, 0) || !(m.Max >= m.Min*float64(b.Eta)):
		return fail("wants min above 0 and max at least eta (%d) times min: with less there is one round, and nothing to halve", b.Eta)
	}
	whole := m.Min == math.Trunc(m.Min) && m.Max == math.Trunc(m.Max)
	var out []*yaml.Node
	for v := m.Max; v >= m.Min*(1-1e-9); v /= float64(b.Eta) {
		give := rounded(v)
		if whole {
			give = math.Round(v)
		}
		out = append(out, number(give))
	}
	slices.Reverse(out)
	return out, nil
}

// sizes are how many points each round has, of n at first.
func (b *Body) sizes(n, rounds int) []int {
	out := make([]int, rounds)
	for i := range out {
		out[i] = n
		n = max(1, n/b.Eta)
	}
	return out
}

// measured is what came of a point in a round.
type measured struct {
	point int
	value float64 // NaN: it has none
}

// rank orders the points of a round, the best first. Those without a value come last, and of equal ones that which comes
// first in the sweep.
func rank(list []measured, direction string) {
	sign := 1.0
	if direction == Max {
		sign = -1
	}
	slices.SortFunc(list, func(a, b measured) int {
		if x, y := math.IsNaN(a.value), math.IsNaN(b.value); x != y {
			if x {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(sign*a.value, sign*b.value), cmp.Compare(a.point, b.point))
	})
}

// design is what a sweep may run: its points in each of its rounds.
type design struct {
	points []point
	rounds []*yaml.Node // budgets; one of nil where there is none
}

func (b *Body) design() (d design, err error) {
	if _, _, ok := b.Metric.Reference(); !ok {
		return d, graph.AtLine("metric", b.Metric.Line(), fmt.Errorf("%q: want ${STEP.metrics.SERIES}, such as ${tuned.metrics.eval/loss}", b.Metric))
	}
	if b.Of == "" {
		return d, graph.At("of", errors.New("is needed: the step whose keys are changed"))
	}
	if d.rounds, err = b.rounds(); err != nil {
		return d, err
	}
	if d.points, err = b.points(); err != nil {
		return d, err
	}
	if n := len(d.points) * len(d.rounds); n > maxVariants {
		return d, graph.At("keys", fmt.Errorf("%d points in %d rounds may be %d runs, at most %d", len(d.points), len(d.rounds), n, maxVariants))
	}
	return d, nil
}

// expand is the kind's: a variant for each point of each round, round after round.
func expand(body any) (graph.Expansion, error) {
	b := body.(*Body)
	d, err := b.design()
	if err != nil {
		return graph.Expansion{}, err
	}
	until, _, _ := b.Metric.Reference()
	out := graph.Expansion{Of: b.Of, Until: until, OfKey: "of", UntilKey: "metric", As: "best"}
	for _, budget := range d.rounds {
		for _, p := range d.points {
			c := graph.Change{Name: p.name, Set: p.set}
			if budget != nil {
				c.Name += ", " + b.short(b.Budget.Key) + "=" + text(budget)
				c.Set = append(slices.Clone(p.set), graph.Setting{Key: b.Budget.Key, Value: budget})
			}
			out.Changes = append(out.Changes, c)
		}
	}
	return out, nil
}
