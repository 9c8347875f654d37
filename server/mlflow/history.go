package mlflow

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"

	"triality/experiments"
)

// maxHistory is the most points of one answer.
const maxHistory = 25_000

type history struct {
	Metrics []historic `json:"metrics"`
	Next    string     `json:"next_page_token,omitempty"`
}

type historic struct {
	metric
	RunID string `json:"run_id"`
}

// points hands a run's points of a metric to yield, in the order that they were logged.
func (a *API) points(ctx context.Context, runID, name string, yield func([]experiments.Point) error) error {
	if _, err := a.Store.Run(ctx, runID); err != nil {
		return noRun(err, runID)
	}
	err := a.Store.Points(ctx, runID, name, func(_ int64, part []experiments.Point) error { return yield(part) })
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return nil // it never logged any
	}
	return err
}

func (a *API) metricHistory(ctx context.Context, in struct {
	runRef
	Key  text    `json:"metric_key"`
	Most integer `json:"max_results"`
	Page text    `json:"page_token"`
}) (any, error) {
	id, err := in.id()
	if err != nil {
		return nil, err
	}
	if in.Key == "" {
		return nil, invalid("Missing value for required parameter 'metric_key'.")
	}
	most, err := limit(in.Most, maxHistory)
	if err != nil {
		return nil, err
	}
	most = min(most, maxHistory)
	from := 0 // a page's token is the number of points before it
	if in.Page != "" {
		if from, err = strconv.Atoi(string(in.Page)); err != nil || from < 0 {
			return nil, invalid("Invalid page token %.40q", string(in.Page))
		}
	}
	out, seen := history{Metrics: []historic{}}, 0
	err = a.points(ctx, id, string(in.Key), func(part []experiments.Point) error {
		for _, p := range part {
			if seen >= from && len(out.Metrics) < most {
				out.Metrics = append(out.Metrics, historic{pointOf(string(in.Key), p), id})
			}
			seen++
		}
		return nil
	})
	if end := from + len(out.Metrics); end < seen {
		out.Next = strconv.Itoa(end)
	}
	return out, err
}

// maxHistoryRuns is the most runs of one request for the points of several.
const maxHistoryRuns = 100

type bulkHistory struct {
	Runs  texts    `json:"run_ids"`
	Run   texts    `json:"run_id"` // as the request without an interval names them
	Key   text     `json:"metric_key"`
	Most  integer  `json:"max_results"`
	Start *integer `json:"start_step"`
	End   *integer `json:"end_step"`
}

func (in bulkHistory) runs() ([]string, error) {
	ids := slices.Concat(in.Runs, in.Run)
	switch {
	case len(ids) == 0:
		return nil, invalid("Missing value for required parameter 'run_ids'.")
	case len(ids) > maxHistoryRuns:
		return nil, invalid("run_ids: at most %d runs, got %d", maxHistoryRuns, len(ids))
	case in.Key == "":
		return nil, invalid("Missing value for required parameter 'metric_key'.")
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// historyOfMany gives the first points of each run.
func (a *API) historyOfMany(ctx context.Context, in bulkHistory) (any, error) {
	ids, err := in.runs()
	if err != nil {
		return nil, err
	}
	most, err := limit(in.Most, maxHistory)
	if err != nil {
		return nil, err
	}
	out := history{Metrics: []historic{}}
	for _, id := range ids {
		err := a.points(ctx, id, string(in.Key), func(part []experiments.Point) error {
			for _, p := range part[:min(len(part), min(most, maxHistory)-len(out.Metrics))] {
				out.Metrics = append(out.Metrics, historic{pointOf(string(in.Key), p), id})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maxIntervalPoints is the most points of a run that an interval is drawn with.
const maxIntervalPoints = 2500

// historyInInterval gives the points of the steps in an interval. Of a run with more than are asked for it gives the first
// of each of equal stretches of steps, which are the same for every run, and its last.
func (a *API) historyInInterval(ctx context.Context, in bulkHistory) (any, error) {
	ids, err := in.runs()
	if err != nil {
		return nil, err
	}
	from, to := int64(math.MinInt64), int64(math.MaxInt64)
	if in.Start != nil {
		from = int64(*in.Start)
	}
	if in.End != nil {
		to = int64(*in.End)
	}
	if from > to {
		return nil, invalid("end_step must be greater than or equal to start_step. Found start_step=%d and end_step=%d.", from, to)
	}
	most, err := limit(in.Most, maxIntervalPoints)
	if err != nil {
		return nil, err
	}
	most = min(most, maxIntervalPoints)
	within := func(id string, use func(experiments.Point)) error {
		return a.points(ctx, id, string(in.Key), func(part []experiments.Point) error {
			for _, p := range part {
				if p.Step >= from && p.Step <= to {
					use(p)
				}
			}
			return nil
		})
	}
	counts := make([]int, len(ids))
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for i, id := range ids {
		if err := within(id, func(p experiments.Point) {
			counts[i]++
			first, last = min(first, p.Step), max(last, p.Step)
		}); err != nil {
			return nil, err
		}
	}
	// In floats, since steps may be as far apart as integers go.
	width := max(1, float64(last)-float64(first))
	stretch := func(step int64) int {
		return int((float64(step) - float64(first)) / width * float64(most-1))
	}
	out := history{Metrics: []historic{}}
	for i, id := range ids {
		var points []experiments.Point
		var end experiments.Point
		taken := map[int]bool{}
		if err := within(id, func(p experiments.Point) {
			if counts[i] > most {
				if end.Step <= p.Step || len(points) == 0 {
					end = p
				}
				if taken[stretch(p.Step)] {
					return
				}
				taken[stretch(p.Step)] = true
			}
			if len(points) < most { // more may have come meanwhile
				points = append(points, p)
			}
		}); err != nil {
			return nil, err
		}
		slices.SortStableFunc(points, func(x, y experiments.Point) int {
			return cmp.Or(cmp.Compare(x.Step, y.Step), cmp.Compare(x.Time, y.Time))
		})
		if n := len(points); counts[i] > most && n > 0 && points[n-1].Step != end.Step {
			points = append(points[:min(n, most-1)], end)
		}
		for _, p := range points {
			out.Metrics = append(out.Metrics, historic{pointOf(string(in.Key), p), id})
		}
	}
	return out, nil
}
