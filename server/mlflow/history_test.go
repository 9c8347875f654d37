package mlflow

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestPointsOfManyRunsAreDrawnOverTheSameSteps(t *testing.T) {
	w := newWorld(t)
	exp := w.experiment("curves")
	var ids []string
	for range 2 {
		id := w.run(fmt.Sprintf(`{"experiment_id":%q}`, exp)).Info.ID
		ids = append(ids, id)
		var points []string
		for step := range 1000 {
			points = append(points, fmt.Sprintf(`{"key":"loss","value":%d,"timestamp":%d,"step":%d}`, step, step+1, step))
		}
		w.post("/runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[%s]}`, id, strings.Join(points, ",")), nil)
	}
	var h history
	w.get(fmt.Sprintf("/metrics/get-history-bulk-interval?run_ids=%s&run_ids=%s&metric_key=loss&start_step=100&end_step=500&max_results=11", ids[0], ids[1]), &h)
	steps := map[string][]int64{}
	for _, m := range h.Metrics {
		steps[m.RunID] = append(steps[m.RunID], int64(m.Step))
	}
	want := []int64{100, 140, 180, 220, 260, 300, 340, 380, 420, 460, 500}
	for _, id := range ids {
		if !slices.Equal(steps[id], want) {
			t.Errorf("steps of %s: %v", id, steps[id])
		}
	}
	// Points that are few are all given, however unevenly they lie, and a run's last one always.
	sparse := w.run(fmt.Sprintf(`{"experiment_id":%q}`, exp)).Info.ID
	w.post("/runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[{"key":"loss","value":1,"step":1},{"key":"loss","value":1,"step":2},{"key":"loss","value":1,"step":9223372036854775807}]}`, sparse), nil)
	w.get(fmt.Sprintf("/metrics/get-history-bulk-interval?run_ids=%s&run_ids=%s&metric_key=loss&max_results=5", ids[0], sparse), &h)
	steps = map[string][]int64{}
	for _, m := range h.Metrics {
		steps[m.RunID] = append(steps[m.RunID], int64(m.Step))
	}
	if !slices.Equal(steps[sparse], []int64{1, 2, math.MaxInt64}) || !slices.Equal(steps[ids[0]], []int64{0, 999}) {
		t.Errorf("steps of runs of other lengths: %v", steps)
	}
	same := w.run(fmt.Sprintf(`{"experiment_id":%q}`, exp)).Info.ID
	w.post("/runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[{"key":"loss","value":1,"step":3},{"key":"loss","value":2,"step":3},{"key":"loss","value":3,"step":3}]}`, same), nil)
	w.get("/metrics/get-history-bulk-interval?run_ids="+same+"&metric_key=loss&max_results=2", &h)
	if len(h.Metrics) != 1 || h.Metrics[0].Step != 3 {
		t.Errorf("of one step: %+v", h.Metrics)
	}
	w.get(fmt.Sprintf("/metrics/get-history-bulk?run_id=%s&run_id=%s&metric_key=loss&max_results=1500", ids[0], ids[1]), &h)
	if len(h.Metrics) != 1500 {
		t.Errorf("%d points of both", len(h.Metrics))
	}
	w.refused("GET", Prefixes[0]+"/metrics/get-history-bulk-interval?metric_key=loss", "", 400, codeInvalid, "run_ids")
	w.refused("GET", Prefixes[0]+"/metrics/get-history-bulk-interval?run_ids="+ids[0]+"&metric_key=loss&start_step=5&end_step=4", "", 400, codeInvalid, "end_step")
}
