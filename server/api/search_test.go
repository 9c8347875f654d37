package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"testing"

	"triality/experiments"
	"triality/server/search"
)

func init() {
	maps.Copy(scenarios, map[string]scenario{
		"a search by GET": {method: "GET", path: "/api/v1/runs/search?filter=name%20%3D%20live&columns=status", status: 200, has: []string{`"total":1`, `"attributes.status":"running"`}},
		"a search by POST": {method: "POST", path: "/api/v1/runs/search", body: `{"filter":"status = finished","order_by":["name DESC"],"experiments":["EXP"]}`,
			status: 200, has: []string{`"id":"done"`, `"next_cursor":""`}},
		"a search with a filter that is none": {method: "GET", path: "/api/v1/runs/search?filter=loss%20%3C", status: 400, code: experiments.CodeInvalid, has: []string{`at character 7`, `"at":7`}},
		"a search with a value that its key cannot have": {method: "POST", path: "/api/v1/runs/search", body: `{"filter":"duration > x"}`, status: 400, code: experiments.CodeInvalid,
			has: []string{`filter: at character 12`, `"at":12`}},
		"a search with an order that is none":   {method: "POST", path: "/api/v1/runs/search", body: `{"order_by":["a b"]}`, status: 400, code: experiments.CodeInvalid, has: []string{`order_by \"a b\": at character 3`}},
		"a search with a column that is none":   {method: "GET", path: "/api/v1/runs/search?columns=a%3D1", status: 400, code: experiments.CodeInvalid},
		"a search with a cursor that is none":   {method: "GET", path: "/api/v1/runs/search?cursor=x", status: 400, code: experiments.CodeInvalid},
		"a search in no experiment":             {method: "GET", path: "/api/v1/runs/search?experiments=none", status: 404, code: experiments.CodeNotFound},
		"a search with a limit that is none":    {method: "POST", path: "/api/v1/runs/search", body: `{"limit":5000}`, status: 400, code: experiments.CodeInvalid},
		"a search for a key that no run has":    {method: "GET", path: "/api/v1/runs/search?filter=statsu%20%3D%20x", status: 200, has: []string{`"total":0`, `unknown_key`, `attributes.status`}},
		"a search that groups":                  {method: "POST", path: "/api/v1/runs/search", body: `{"group_by":["status"]}`, status: 400, code: experiments.CodeInvalid},
		"the columns of runs":                   {method: "GET", path: "/api/v1/runs/columns?experiments=EXP", status: 200, has: []string{`"items":[]`, `"total":2`}},
		"the columns of runs by POST":           {method: "POST", path: "/api/v1/runs/columns", body: `{"filter":"live"}`, status: 200, has: []string{`"total":1`}},
		"the columns of runs in an order":       {method: "POST", path: "/api/v1/runs/columns", body: `{"order_by":["name"]}`, status: 400, code: experiments.CodeInvalid, has: []string{"order_by"}},
		"groups of runs":                        {method: "GET", path: "/api/v1/runs/groups?group_by=status&columns=duration", status: 200, has: []string{`"groups":2`, `"attributes.duration"`}},
		"groups of runs by POST":                {method: "POST", path: "/api/v1/runs/groups", body: `{"group_by":["status"]}`, status: 200, has: []string{`"groups":2`}},
		"groups by nothing":                     {method: "GET", path: "/api/v1/runs/groups", status: 400, code: experiments.CodeInvalid},
		"notes on a run":                        {method: "PATCH", path: "/api/v1/runs/live", body: `{"notes":"**seen**","archived":true}`, status: 200, has: []string{`"notes":"**seen**"`, `"archived_at":"2`}},
		"a metric's direction":                  {method: "PATCH", path: "/api/v1/experiments/EXP", body: `{"directions":{"novelty":"lower"}}`, status: 200, has: []string{`"directions":{"novelty":"lower"}`}},
		"a metric's direction that is none":     {method: "PATCH", path: "/api/v1/experiments/EXP", body: `{"directions":{"novelty":"up"}}`, status: 400, code: experiments.CodeInvalid},
		"an experiment that is archived":        {method: "PATCH", path: "/api/v1/experiments/EXP", body: `{"archived":true}`, status: 200, has: []string{`"archived_at":"2`}},
		"a search for what archiving took away": {method: "GET", path: "/api/v1/runs/search?archived=perhaps", status: 400, code: experiments.CodeInvalid},
	})
}

// answer is a search's, as a client reads it.
type answer struct {
	Items []struct {
		ID     string
		Values map[string]any
	}
	Next  string `json:"next_cursor"`
	Total int
	Notes []search.Note
}

func (w *world) search(t *testing.T, params ...string) (a answer) {
	t.Helper()
	q := url.Values{}
	for i := 0; i < len(params); i += 2 {
		q.Add(params[i], params[i+1])
	}
	rec := w.do("GET", "/api/v1/runs/search?"+q.Encode(), "")
	if rec.Code != 200 {
		t.Fatalf("%v: %d %s", params, rec.Code, rec.Body)
	}
	decode(t, rec, &a)
	return a
}

func TestASearchTellsWhatIsNotFiniteFromWhatIsMissing(t *testing.T) {
	w := newWorld(t, nil)
	for i, v := range []float64{0.5, math.NaN(), math.Inf(1), 0.7} {
		id := fmt.Sprint("m", i)
		w.save(experiments.Run{ID: id, Name: id, Status: experiments.Finished})
		if err := w.store.LogMetrics(ctx, id, experiments.MetricBatch{"eval/f1": {{Step: 1, Value: 0.9}, {Step: 2, Value: v}}}); err != nil {
			t.Fatal(err)
		}
	}
	got := w.search(t, "order_by", "eval/f1 DESC", "columns", "eval/f1", "columns", "best(f1)")
	var ids []string
	for _, row := range got.Items {
		ids = append(ids, row.ID)
	}
	if want := []string{"m3", "m0", "m2", "m1"}; !slices.Equal(ids[:4], want) || len(ids) != 6 {
		t.Errorf("order %v, want %v first", ids, want)
	}
	if v := got.Items[3].Values; v["metrics.eval/f1"] != "NaN" || v["best(metrics.eval/f1)"] != 0.9 {
		t.Errorf("values %v", v)
	}
	if v := got.Items[2].Values["metrics.eval/f1"]; v != "Infinity" {
		t.Errorf("infinity is %v", v)
	}
	if v, there := got.Items[5].Values["metrics.eval/f1"]; there {
		t.Errorf("a missing one is %v", v)
	}
}

func TestEveryRunIsOnOnePageOfASearch(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 30 {
		id := fmt.Sprint("p", i)
		w.save(experiments.Run{ID: id, Name: id, Status: experiments.Finished, Params: map[string]string{"n": fmt.Sprint(i % 4)}})
	}
	seen := map[string]int{}
	cursor := ""
	for page := 0; page == 0 || cursor != ""; page++ {
		got := w.search(t, "filter", "params.n IS NOT NULL", "order_by", "n DESC", "order_by", "name", "limit", "7", "cursor", cursor)
		if got.Total != 30 {
			t.Fatalf("total %d", got.Total)
		}
		for _, row := range got.Items {
			seen[row.ID]++
		}
		cursor = got.Next
		w.save(experiments.Run{ID: fmt.Sprint("later", page), Name: "0", Status: experiments.Finished})
	}
	if len(seen) != 30 {
		t.Errorf("%d runs were seen, want 30", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s was seen %d times", id, n)
		}
	}
}

func TestTheSeriesListSaysBestAndLast(t *testing.T) {
	w := newWorld(t, nil)
	if err := w.store.LogMetrics(ctx, "live", experiments.MetricBatch{"loss": {{Step: 1, Value: 0.42}, {Step: 2, Value: 0.69}, {Step: 3, Value: math.NaN()}}}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Items []struct {
			Count, Finite int
			Least         struct {
				Step  int
				Value float64
			}
			Mean float64
			Last map[string]json.RawMessage
		}
	}
	decode(t, w.do("GET", "/api/v1/runs/live/metrics", ""), &got)
	s := got.Items[0]
	if s.Count != 3 || s.Finite != 2 || s.Least.Value != 0.42 || s.Least.Step != 1 || math.Abs(s.Mean-0.555) > 1e-12 || string(s.Last["value"]) != "null" {
		t.Errorf("%+v", s)
	}
}
