package sweep

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/runtime/wallclock"
)

// under is a sweep under way.
type under struct {
	w      graph.Work
	body   *Body
	design design
	series string
	result Result
	done   int // runs that have ended
	total  int
}

func run(ctx context.Context, w graph.Work) error {
	b := w.Body.(*Body)
	d, err := b.design()
	if err != nil {
		return err
	}
	u := &under{w: w, body: b, design: d}
	if err := u.begin(); err != nil {
		return err
	}
	last, err := u.rounds(ctx)
	if err != nil {
		return err
	}
	winner := last[0]
	u.result.Best = Best{Point: winner.point, Name: u.design.points[winner.point].name, Value: winner.value}
	if err := u.handOn(u.variant(len(d.rounds)-1, winner.point)); err != nil {
		return err
	}
	if err := graph.WriteJSON(w.File(file), u.result); err != nil {
		return err
	}
	w.Sink.Note(u.verdict())
	return w.Sink.Metrics(u.figures())
}

// begin makes the table before anything has run.
func (u *under) begin() error {
	step, series, _ := u.body.Metric.Reference()
	u.series = series
	u.result = Result{Of: u.body.Of, Step: step, Metric: series, Direction: u.body.Direction, Method: u.body.Method, Budget: u.body.Budget.Key}
	for _, a := range u.body.Keys.axes {
		u.result.Keys = append(u.result.Keys, a.key)
	}
	for i, n := range u.body.sizes(len(u.design.points), len(u.design.rounds)) {
		r := Round{Points: n}
		var err error
		if budget := u.design.rounds[i]; budget != nil {
			if r.Budget, err = asJSON(budget); err != nil {
				return err
			}
		}
		u.result.Rounds = append(u.result.Rounds, r)
		u.total += n
	}
	for _, p := range u.design.points {
		row := Point{Name: p.name, Params: map[string]json.RawMessage{}, State: Finished}
		for _, s := range p.set {
			var err error
			if row.Params[s.Key], err = asJSON(s.Value); err != nil {
				return err
			}
		}
		u.result.Points = append(u.result.Points, row)
	}
	return nil
}

func (u *under) variant(round, point int) *graph.Variant {
	return u.w.Step.Variants[round*len(u.design.points)+point]
}

// rounds runs them and gives the last one's points that have a value, the best first: at least one.
func (u *under) rounds(ctx context.Context) (list []measured, err error) {
	for p := range u.design.points {
		list = append(list, measured{point: p})
	}
	for round := range u.design.rounds {
		if err := u.round(ctx, round, list); err != nil {
			return nil, err
		}
		rank(list, u.body.Direction)
		for i, m := range list {
			tries := u.result.Points[m.point].Tries
			tries[len(tries)-1].Rank = i + 1
		}
		valued := len(list)
		if i := slices.IndexFunc(list, func(m measured) bool { return math.IsNaN(m.value) }); i == 0 {
			return nil, experiments.Errorf(experiments.CodeInvalid, "no point has a value: %s: %s", u.design.points[list[0].point].name, u.result.Points[list[0].point].Reason)
		} else if i > 0 {
			valued = i
		}
		if round == len(u.design.rounds)-1 {
			return list[:valued], nil
		}
		list = u.halve(round, list, valued)
	}
	return list, nil
}

// halve stops all but the best of a round, of which those have a value that come first.
func (u *under) halve(round int, list []measured, valued int) []measured {
	next := min(u.result.Rounds[round+1].Points, valued)
	u.total -= u.result.Rounds[round+1].Points - next
	u.result.Rounds[round+1].Points = next
	where := fmt.Sprintf("round %d of %d, %s=%s", round+1, len(u.design.rounds), u.body.short(u.body.Budget.Key), text(u.design.rounds[round]))
	for i, m := range list[next:valued] {
		row := &u.result.Points[m.point]
		row.State, row.Reason = Stopped, fmt.Sprintf("%s: place %d of %d, of which %d go on", where, next+i+1, len(list), next)
	}
	var names []string
	for _, m := range list[:next] {
		names = append(names, u.design.points[m.point].name)
	}
	u.w.Sink.Note(fmt.Sprintf("%s: %d go on: %s", where, next, strings.Join(names, "; ")))
	return list[:next]
}

// round runs the points of one and measures them.
func (u *under) round(ctx context.Context, round int, list []measured) error {
	var want []*graph.Variant
	for _, m := range list {
		want = append(want, u.variant(round, m.point))
	}
	u.progress()
	err := u.w.Run(ctx, want, func(v *graph.Variant) error {
		u.done++
		u.progress()
		if v.Err() != nil {
			return nil
		}
		_, err := u.measure(v) // a series that is not there is told at the first point, not after the last
		return err
	})
	if err != nil {
		return err
	}
	for i := range list {
		m := &list[i]
		v := u.variant(round, m.point)
		row := &u.result.Points[m.point]
		try := Try{Name: v.Name, Key: v.Last().Key}
		m.value = math.NaN()
		if err := v.Err(); err != nil {
			row.State, row.Reason = Failed, err.Error()
		} else if m.value, err = u.measure(v); err != nil {
			return err
		} else if math.IsNaN(m.value) || math.IsInf(m.value, 0) {
			row.State, row.Reason = Failed, fmt.Sprintf("%s is %v", u.series, m.value)
			m.value = math.NaN()
		}
		if !math.IsNaN(m.value) {
			value := m.value
			try.Value = &value
			u.result.Looks++
		}
		row.Value, row.Tries = try.Value, append(row.Tries, try)
	}
	return nil
}

// measure reads the metric of a variant that has finished.
func (u *under) measure(v *graph.Variant) (float64, error) {
	points, err := graph.ReadMetrics(v.Last().Here())
	if err != nil {
		return 0, err
	}
	if list := points[u.series]; len(list) > 0 {
		return list[len(list)-1].Value, nil
	}
	names := slices.Sorted(maps.Keys(points))
	hint := ""
	if near, ok := config.Nearest(u.series, names); ok {
		hint = "; the nearest is " + near
	}
	return 0, experiments.Errorf(experiments.CodeInvalid, "metric: step %s logs no series %s%s; it logs %s", u.result.Step, u.series, hint, strings.Join(names, ", "))
}

func (u *under) progress() {
	u.w.Sink.Progress(experiments.Progress{Done: int64(u.done), Total: int64(u.total), Unit: "runs"})
}

// verdict says what was chosen and from how many.
func (u *under) verdict() string {
	out := fmt.Sprintf("best: %s, %s %.6g: the best of %d looks, so its lead is partly luck; judge it on rows that chose none",
		u.result.Best.Name, u.series, u.result.Best.Value, u.result.Looks)
	if n := u.failed(); n > 0 {
		out += fmt.Sprintf("; points without a value: %d", n)
	}
	return out
}

func (u *under) failed() (n int) {
	for _, p := range u.result.Points {
		if p.State == Failed {
			n++
		}
	}
	return n
}

// figures are the sweep's own series.
func (u *under) figures() experiments.MetricBatch {
	now := wallclock.Now().UnixMilli()
	one := func(v float64) []experiments.Point { return []experiments.Point{{Time: now, Value: v}} }
	batch := experiments.MetricBatch{
		"sweep/best": one(u.result.Best.Value), "sweep/points": one(float64(len(u.result.Points))),
		"sweep/looks": one(float64(u.result.Looks)), "sweep/failed": one(float64(u.failed())),
	}
	for i, p := range u.result.Points {
		if p.Value != nil {
			batch["sweep/value"] = append(batch["sweep/value"], experiments.Point{Step: int64(i), Time: now, Value: *p.Value})
		}
	}
	return batch
}

func asJSON(n *yaml.Node) (json.RawMessage, error) {
	var v any
	if err := n.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}
