package trackerbench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"triality/experiments"
	"triality/server/store"
)

func newReader(b []byte) io.Reader { return bytes.NewReader(b) }

func metricName(i int) string { return fmt.Sprintf("group_%d/metric_%02d", i%5, i) }

func paramName(i int) string { return fmt.Sprintf("param_%02d", i) }

// fill makes a data folder with many runs, some with many columns, one with a long curve, and, where they are asked
// for, runs whose curves fill pages of charts.
func fill(ctx context.Context, dir string, o Options) (m Made, err error) {
	st, err := store.Open(dir, store.Options{})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	names := map[string]*string{"many runs": &m.Many, "many columns": &m.Wide, "a long curve": &m.Long}
	if o.Curves > 0 {
		names["pages of curves"], names["a hundred curves"] = &m.Curves, &m.Hundred
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		made, err := st.EnsureExperiment(ctx, name)
		if err != nil {
			return m, err
		}
		*names[name] = made.ID
	}
	err = each(ctx, st, o.Runs, func(i int, r *rand.Rand) (experiments.Run, experiments.MetricBatch) { return manyRun(m.Many, i, o, r) })
	if err != nil {
		return m, err
	}
	if err := each(ctx, st, wideRuns, func(i int, r *rand.Rand) (experiments.Run, experiments.MetricBatch) { return wideRun(m.Wide, i, o, r) }); err != nil {
		return m, err
	}
	m.columns = columnKeys(o)
	const long = "long"
	if err := curves(ctx, st, experiments.Run{ID: long, Name: long, ExperimentID: m.Long}, o.Curve, "loss"); err != nil {
		return m, err
	}
	m.Long = long
	if o.Curves == 0 {
		return m, nil
	}
	for i := range panelRuns {
		name := fmt.Sprintf("curves %d", i)
		var metrics []string
		for j := range panelMetrics {
			metrics = append(metrics, fmt.Sprintf("part_%d/curve_%02d", j%4, j))
		}
		if err := curves(ctx, st, experiments.Run{ID: fmt.Sprintf("curves-%d", i), Name: name, ExperimentID: m.Curves}, o.Curves, metrics...); err != nil {
			return m, err
		}
	}
	for i := range 100 {
		id := fmt.Sprintf("hundred-%02d", i)
		if err := curves(ctx, st, experiments.Run{ID: id, Name: id, ExperimentID: m.Hundred}, max(o.Curves/100, 1), "loss"); err != nil {
			return m, err
		}
	}
	return m, nil
}

// Pages of charts show so many metrics of so many runs.
const (
	panelMetrics = 24
	panelRuns    = 10
)

// begin is when the first run was.
var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// each saves n runs with their points, many at once.
func each(ctx context.Context, st *store.Store, n int, one func(i int, r *rand.Rand) (experiments.Run, experiments.MetricBatch)) (err error) {
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
	if err == nil {
		err = ctx.Err() // the caller's: stop was not called
	}
	return err
}

// curves saves a run whose metrics have n points each.
func curves(ctx context.Context, st *store.Store, run experiments.Run, n int, metrics ...string) error {
	run.Status, run.CreatedAt = experiments.Finished, begin
	if err := st.SaveRun(ctx, run); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(2, uint64(len(run.ID)+int(run.ID[len(run.ID)-1]))))
	for _, metric := range metrics {
		for from := 0; from < n; from += 10_000 {
			points := []experiments.Point{}
			for i := from; i < min(from+10_000, n); i++ {
				points = append(points, experiments.Point{Step: int64(i), Time: begin.UnixMilli() + int64(i), Value: 2*math.Exp(-5*float64(i)/float64(n)) + r.Float64()*0.1})
			}
			if err := st.LogMetrics(ctx, run.ID, experiments.MetricBatch{metric: points}); err != nil {
				return err
			}
		}
	}
	return nil
}

const wideRuns = 400

func columnKeys(o Options) (keys []string) {
	for i := range o.Columns {
		keys = append(keys, fmt.Sprintf("metrics.column_%05d", i))
	}
	return keys
}

// wideRun is one of the runs with many columns.
func wideRun(experiment string, i int, o Options, r *rand.Rand) (experiments.Run, experiments.MetricBatch) {
	batch, some := experiments.MetricBatch{}, max(o.Columns/40, 1)
	for j := range some {
		batch[fmt.Sprintf("column_%05d", (i*some/10+j*7)%o.Columns)] = []experiments.Point{{Step: 1, Value: r.Float64()}}
	}
	for j := i; j < o.Columns; j += wideRuns { // so that each is there
		batch[fmt.Sprintf("column_%05d", j)] = []experiments.Point{{Step: 1, Value: r.Float64()}}
	}
	return experiments.Run{ID: fmt.Sprintf("wide-%04d", i), Name: fmt.Sprint("wide ", i), ExperimentID: experiment}, batch
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

func pageOf(r *rand.Rand, m Made, o Options) url.Values {
	orders := []string{
		"metrics." + metricName(r.IntN(o.Metrics)) + " DESC", "mean(" + metricName(r.IntN(o.Metrics)) + ")",
		"params." + paramName(r.IntN(o.Params)), "name", "duration DESC", "started",
	}
	q := url.Values{"filter": {filterOf(r, o)}, "experiments": {m.Many}, "order_by": {orders[r.IntN(len(orders))], orders[r.IntN(len(orders))]}, "limit": {"100"}}
	for range 10 {
		q.Add("columns", "metrics."+metricName(r.IntN(o.Metrics)))
		q.Add("columns", "params."+paramName(r.IntN(o.Params)))
	}
	return q
}

func groupsOf(r *rand.Rand, m Made, o Options) url.Values {
	q := url.Values{"filter": {filterOf(r, o)}, "experiments": {m.Many}, "group_by": {"params." + paramName(0)}}
	for range 10 {
		q.Add("columns", "metrics."+metricName(r.IntN(o.Metrics)))
	}
	return q
}
