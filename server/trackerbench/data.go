package trackerbench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"triality/experiments"
	"triality/server/store"
)

// filled is what was made, by id.
type filled struct {
	many, wide, long string
	columns          []string // keys of the runs with many
	took             time.Duration
}

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

func metricName(i int) string { return fmt.Sprintf("group_%d/metric_%02d", i%5, i) }

func paramName(i int) string { return fmt.Sprintf("param_%02d", i) }

// fill makes a data folder with many runs, some with many columns, and one with a long curve.
func fill(ctx context.Context, dir string, o Options) (f filled, err error) {
	start := time.Now()
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		return f, err
	}
	defer func() {
		if e := st.Close(); err == nil {
			err = e
		}
	}()
	for _, e := range []struct {
		name string
		id   *string
	}{{"many runs", &f.many}, {"many columns", &f.wide}, {"a long curve", &f.long}} {
		made, err := st.EnsureExperiment(ctx, e.name)
		if err != nil {
			return f, err
		}
		*e.id = made.ID
	}
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	make := func(n int, one func(i int, r *rand.Rand) (experiments.Run, experiments.MetricBatch)) error {
		todo := make(chan int)
		var wg sync.WaitGroup
		var once sync.Once
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		for range 64 {
			wg.Go(func() {
				for i := range todo {
					run, batch := one(i, rand.New(rand.NewPCG(1, uint64(i))))
					run.Status, run.CreatedAt = experiments.Finished, begin.Add(time.Duration(i)*time.Minute)
					run.StartedAt, run.EndedAt = run.CreatedAt, run.CreatedAt.Add(time.Duration(i%5000)*time.Second)
					if e := st.SaveRun(ctx, run); e != nil {
						once.Do(func() { err = e; stop() })
					} else if e := st.LogMetrics(ctx, run.ID, batch); e != nil {
						once.Do(func() { err = e; stop() })
					}
				}
			})
		}
		for i := range n {
			select {
			case todo <- i:
			case <-ctx.Done():
			}
		}
		close(todo)
		wg.Wait()
		return err
	}
	if err := make(o.Runs, func(i int, r *rand.Rand) (experiments.Run, experiments.MetricBatch) { return manyRun(f.many, i, o, r) }); err != nil {
		return f, err
	}
	each := max(o.Columns/40, 1)
	for i := range o.Columns {
		f.columns = append(f.columns, fmt.Sprintf("metrics.column_%05d", i))
	}
	err = make(400, func(i int, r *rand.Rand) (experiments.Run, experiments.MetricBatch) {
		batch := experiments.MetricBatch{}
		for j := range each {
			batch[fmt.Sprintf("column_%05d", (i*each/10+j*7)%o.Columns)] = []experiments.Point{{Step: 1, Value: r.Float64()}}
		}
		for j := i; j < o.Columns; j += 400 { // so that each is there
			batch[fmt.Sprintf("column_%05d", j)] = []experiments.Point{{Step: 1, Value: r.Float64()}}
		}
		return experiments.Run{ID: fmt.Sprintf("wide-%04d", i), Name: fmt.Sprint("wide ", i), ExperimentID: f.wide}, batch
	})
	if err != nil {
		return f, err
	}
	run := "long"
	if err := st.SaveRun(ctx, experiments.Run{ID: run, Name: run, ExperimentID: f.long, Status: experiments.Finished}); err != nil {
		return f, err
	}
	f.long = run
	r := rand.New(rand.NewPCG(2, 2))
	for from := 0; from < o.Curve; from += 10_000 {
		points := []experiments.Point{}
		for i := from; i < min(from+10_000, o.Curve); i++ {
			points = append(points, experiments.Point{Step: int64(i), Time: begin.UnixMilli() + int64(i), Value: 2*math.Exp(-float64(i)/2e5) + r.Float64()*0.1})
		}
		if err := st.LogMetrics(ctx, run, experiments.MetricBatch{"loss": points}); err != nil {
			return f, err
		}
	}
	f.took = time.Since(start)
	return f, nil
}

// manyRun is one of many runs. Parameters are few-valued, many-valued, numbers and words.
func manyRun(experiment string, i int, o Options, r *rand.Rand) (experiments.Run, experiments.MetricBatch) {
	params := map[string]string{}
	for j := range o.Params {
		switch j % 3 {
		case 0:
			params[paramName(j)] = fmt.Sprint(r.IntN(8))
		case 1:
			params[paramName(j)] = fmt.Sprintf("%.3g", math.Pow(10, -5*r.Float64()))
		default:
			params[paramName(j)] = []string{"adam", "adamw", "sgd", "lion"}[r.IntN(4)]
		}
	}
	batch := experiments.MetricBatch{}
	for j := range o.Metrics {
		points := make([]experiments.Point, o.Points)
		for k := range points {
			points[k] = experiments.Point{Step: int64(k * 100), Time: 1.7e12 + int64(k), Value: r.Float64()}
		}
		batch[metricName(j)] = points
	}
	return experiments.Run{ID: fmt.Sprintf("run-%06d", i), Name: fmt.Sprint("run ", i), ExperimentID: experiment, Params: params,
		Tags: map[string]string{"team": fmt.Sprint("team ", i%7)}}, batch
}

// filterOf is a filter as people write them, of every kind in turn.
func filterOf(r *rand.Rand, o Options) string {
	metric := "metrics." + metricName(r.IntN(o.Metrics))
	filters := []string{
		fmt.Sprintf("%s > %.2f", metric, r.Float64()),
		fmt.Sprintf("%s > %.2f AND params.%s = %d", metric, r.Float64(), paramName(0), r.IntN(8)),
		fmt.Sprintf("max(%s) > 0.9 AND (tags.team LIKE 'team%%' OR NOT attributes.status = 'FAILED')", metric),
		fmt.Sprintf("run %d", r.IntN(100)),
		fmt.Sprintf("%s = adam AND duration > 10m", paramName(min(2, o.Params-1))),
		fmt.Sprintf("started > 2026-01-0%d AND %s IS NOT NULL", 1+r.IntN(9), metric),
		"",
	}
	return filters[r.IntN(len(filters))]
}

func pageOf(r *rand.Rand, f filled, o Options) url.Values {
	orders := []string{
		"metrics." + metricName(r.IntN(o.Metrics)) + " DESC", "mean(" + metricName(r.IntN(o.Metrics)) + ")",
		"params." + paramName(r.IntN(o.Params)), "name", "duration DESC", "started",
	}
	q := url.Values{"filter": {filterOf(r, o)}, "experiments": {f.many}, "order_by": {orders[r.IntN(len(orders))], orders[r.IntN(len(orders))]}, "limit": {"100"}}
	for range 10 {
		q.Add("columns", "metrics."+metricName(r.IntN(o.Metrics)))
		q.Add("columns", "params."+paramName(r.IntN(o.Params)))
	}
	return q
}

func groupsOf(r *rand.Rand, f filled, o Options) url.Values {
	q := url.Values{"filter": {filterOf(r, o)}, "experiments": {f.many}, "group_by": {"params." + paramName(0)}}
	for range 10 {
		q.Add("columns", "metrics."+metricName(r.IntN(o.Metrics)))
	}
	return q
}
