package cli

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"triality/experiments"
	"triality/server/store"
)

// recorded makes a data folder with runs to search: "recorded DIR".
func recorded(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: recorded DIR")
	}
	ctx := context.Background()
	st, err := store.Open(ts.MkAbs(args[0]), store.Options{})
	ts.Check(err)
	for i, values := range [][]float64{{0.9, 0.5}, {0.2, 0.7}, {0.6, math.NaN()}, {0.1, 0.3}} {
		e, err := st.EnsureExperiment(ctx, []string{"vision", "text"}[i%2])
		ts.Check(err)
		id := fmt.Sprint("r", i)
		ts.Check(st.SaveRun(ctx, experiments.Run{ID: id, Name: fmt.Sprint("run ", i), ExperimentID: e.ID, Status: experiments.Finished,
			CreatedAt: time.Unix(int64(1.7e9+i), 0), StartedAt: time.Unix(int64(1.7e9+i), 0), EndedAt: time.Unix(int64(1.7e9+100*i), 0),
			Params: map[string]string{"lr": []string{"1e-4", "0.0001", "0.1", "auto"}[i]}}))
		batch := experiments.MetricBatch{"eval/f1": nil}
		for step, v := range values {
			batch["eval/f1"] = append(batch["eval/f1"], experiments.Point{Step: int64(step), Time: int64(step), Value: v})
		}
		ts.Check(st.LogMetrics(ctx, id, batch))
	}
	ts.Check(st.Close())
}
