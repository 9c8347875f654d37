package api

import (
	"math"
	"strings"
	"testing"

	"triality/experiments"
)

func TestSeriesOfSeveralRunsComeByColumnsAndByStep(t *testing.T) {
	w := newWorld(t, nil)
	points := make([]experiments.Point, 10_000)
	for i := range points {
		points[i] = experiments.Point{Step: int64(i), Time: 1000 + int64(i), Value: float64(i)}
	}
	points[5000].Value, points[5001].Value, points[5002].Value = math.NaN(), math.Inf(1), math.Inf(-1)
	for run, some := range map[string][]experiments.Point{"live": points, "done": points[:3]} {
		if err := w.store.LogMetrics(ctx, run, experiments.MetricBatch{"loss": some, "f1/" + run: some[:1]}); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(body string) string {
		t.Helper()
		rec := w.do("POST", "/api/v1/series", body)
		if rec.Code != 200 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		return strings.TrimSpace(rec.Body.String())
	}
	for name, c := range map[string]struct{ body, want string }{
		"all of a short one, and runs in the order asked": {`{"name":"loss","runs":["nope","done"]}`,
			`{"name":"loss","items":[{"run":"done","total":3,"steps":[0,1,2],"times":[1000,1001,1002],"values":[0,1,2]}]}`},
		"NaN and infinities told apart, with a point beyond each end": {`{"name":"loss","runs":["live"],"from":5000,"to":5002}`,
			`{"name":"loss","items":[{"run":"live","total":3,"steps":[4999,5000,5001,5002,5003],"times":[5999,6000,6001,6002,6003],"values":[4999,null,"Infinity","-Infinity",5003]}]}`},
		"up to the end": {`{"name":"loss","runs":["live"],"from":9999}`,
			`{"name":"loss","items":[{"run":"live","total":1,"steps":[9998,9999],"times":[10998,10999],"values":[9998,9999]}]}`},
		"several metrics, each series with its name": {`{"names":["f1/done","loss"],"runs":["done","live"],"from":2,"to":2}`,
			`{"items":[{"name":"f1/done","run":"done","total":0,"steps":[0],"times":[1000],"values":[0]},` +
				`{"name":"loss","run":"done","total":1,"steps":[1,2],"times":[1001,1002],"values":[1,2]},` +
				`{"name":"loss","run":"live","total":1,"steps":[1,2,3],"times":[1001,1002,1003],"values":[1,2,3]}]}`},
		"beyond the end": {`{"name":"loss","runs":["done"],"from":50}`,
			`{"name":"loss","items":[{"run":"done","total":0,"steps":[2],"times":[1002],"values":[2]}]}`},
	} {
		if got := ask(c.body); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
	// A range is finer than the whole thinned to the same number.
	got := ask(`{"name":"loss","runs":["live"],"max_points":100,"from":1000,"to":1099}`)
	if !strings.Contains(got, ",1049,1050,1051,") || !strings.Contains(got, `"total":100`) {
		t.Errorf("a range of 100 steps was thinned: %s", got)
	}
	if got := ask(`{"name":"loss","runs":["live","done"],"max_points":100}`); strings.Count(got, ",") > 3*105+20 || !strings.Contains(got, `"run":"done"`) {
		t.Errorf("not thinned: %d bytes", len(got))
	}
}
