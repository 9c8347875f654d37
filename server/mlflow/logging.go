package mlflow

import (
	"context"
	"time"

	"triality/experiments"
	"triality/server/store"
)

// MLflow's limits of what one request logs.
const (
	maxBatchMetrics = 1000
	maxBatchParams  = 100
	maxBatchTags    = 100
	maxBatch        = 1000 // of the three together
	maxKey          = 250
	maxParam        = 6000
	maxTag          = 5000
	maxPairs        = 1000 // parameters or tags of one run or experiment, as POST /api/v1/runs takes
)

func checkPair(what string, p pair, most int) error {
	switch {
	case p.Key == "":
		return invalid("Missing value for required parameter 'key' of a %s.", what)
	case len(p.Key) > maxKey:
		return invalid("%s name '%.40s…' had length %d, which exceeded length limit of %d", what, p.Key, len(p.Key), maxKey)
	case len(p.Value) > most:
		return invalid("%s value of '%s' had length %d, which exceeded length limit of %d", what, p.Key, len(p.Value), most)
	}
	return nil
}

// put sets a key of a run's or experiment's map, which has at most maxPairs; the map that was there stays as it is.
func put(m *map[string]string, what string, p pair) error {
	if _, there := (*m)[string(p.Key)]; !there && len(*m) >= maxPairs {
		return invalid("there are %d %s already, and no more may be", len(*m), what)
	}
	*m = with(*m, string(p.Key), string(p.Value))
	return nil
}

// setParam logs a parameter, which keeps the value that it was given first.
func setParam(r *experiments.Run, p pair) error {
	if err := checkPair("param", p, maxParam); err != nil {
		return err
	}
	if old, ok := r.Params[string(p.Key)]; ok {
		if old != string(p.Value) {
			return invalid("Changing param values is not allowed. Param with key='%s' was already logged with value='%s' for run ID='%s'. Attempted logging new value '%s'.",
				p.Key, old, r.ID, p.Value)
		}
		return nil
	}
	return put(&r.Params, "params", p)
}

func (a *API) logParam(ctx context.Context, in struct {
	runRef
	pair
}) (any, error) {
	return a.logBatch(ctx, batch{runRef: in.runRef, Params: []pair{in.pair}})
}

func (a *API) logMetric(ctx context.Context, in struct {
	runRef
	metric
}) (any, error) {
	return a.logBatch(ctx, batch{runRef: in.runRef, Metrics: []metric{in.metric}})
}

type batch struct {
	runRef
	Metrics []metric `json:"metrics"`
	Params  []pair   `json:"params"`
	Tags    []pair   `json:"tags"`
}

// points checks a batch's metrics; a time that is left out is that of receipt.
func (b batch) points() (experiments.MetricBatch, error) {
	out := experiments.MetricBatch{}
	for i, m := range b.Metrics {
		switch {
		case m.Key == "":
			return nil, invalid("Missing value for required parameter 'metrics[%d].key'.", i)
		case len(m.Key) > maxKey:
			return nil, invalid("Metric name '%.40s…' had length %d, which exceeded length limit of %d", m.Key, len(m.Key), maxKey)
		case store.CheckMetricName(string(m.Key)) != nil:
			return nil, invalid("metrics[%d]: %v", i, store.CheckMetricName(string(m.Key)))
		case m.Value == nil:
			return nil, invalid("Missing value for required parameter 'metrics[%d].value'.", i)
		}
		at := int64(m.Timestamp)
		if at == 0 {
			at = time.Now().UnixMilli()
		}
		out[string(m.Key)] = append(out[string(m.Key)], experiments.Point{Step: int64(m.Step), Time: at, Value: float64(*m.Value)})
	}
	return out, nil
}

// logBatch stores all that is right or, of a batch with a mistake, nothing.
func (a *API) logBatch(ctx context.Context, in batch) (any, error) {
	for _, l := range []struct {
		what    string
		n, most int
	}{
		{"metrics", len(in.Metrics), maxBatchMetrics}, {"params", len(in.Params), maxBatchParams}, {"tags", len(in.Tags), maxBatchTags},
		{"metrics, params, and tags", len(in.Metrics) + len(in.Params) + len(in.Tags), maxBatch},
	} {
		if l.n > l.most {
			return nil, invalid("A batch logging request can contain at most %d %s. Got %d %s. Please split up %s across multiple requests and try again.", l.most, l.what, l.n, l.what, l.what)
		}
	}
	points, err := in.points()
	if err != nil {
		return nil, err
	}
	r, err := a.runOf(ctx, in.runRef)
	if err != nil {
		return nil, err
	}
	if err := active(r); err != nil {
		return nil, err
	}
	if len(in.Params)+len(in.Tags) > 0 {
		parent, err := a.parent(ctx, in.Tags)
		if err != nil {
			return nil, err
		}
		_, err = a.changeRun(ctx, in.runRef, false, func(r *experiments.Run) error {
			for _, p := range in.Params {
				if err := setParam(r, p); err != nil {
					return err
				}
			}
			for _, t := range in.Tags {
				if err := setTag(r, t, parent); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return empty{}, noRun(a.Store.LogMetrics(ctx, r.ID, points), r.ID)
}
