package store

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/search"
	"triality/server/search/query"
)

// find searches with a filter and orders, for the columns.
func find(t testing.TB, s *Store, filter string, order []string, columns ...string) search.Result {
	t.Helper()
	q := search.Query{Now: time.Unix(1.7e9, 0), Limit: 1000}
	var err error
	if q.Filter, err = query.Parse(filter); err != nil {
		t.Fatal(err)
	}
	for _, text := range order {
		o, err := query.ParseOrder(text)
		if err != nil {
			t.Fatal(err)
		}
		q.Order = append(q.Order, o)
	}
	for _, text := range columns {
		k, err := query.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		q.Columns = append(q.Columns, k)
	}
	got, err := s.Search(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	got.Revision, got.Snapshot = 0, "" // of the server's run, not of what it holds
	return got
}

func ids(r search.Result) (out []string) {
	for _, row := range r.Items {
		out = append(out, row.ID)
	}
	return out
}

func TestASearchSeesEveryAcknowledgedWrite(t *testing.T) {
	s, e := fresh(t, Options{})
	find(t, s, "", nil) // the index is filled, and follows from here on
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 40 {
				id := fmt.Sprint("r", i, ".", n)
				save(t, s, experiments.Run{ID: id, ExperimentID: e, Status: experiments.Running, Params: map[string]string{"n": fmt.Sprint(n)}})
				if got := find(t, s, fmt.Sprintf("id = '%s' AND params.n = %d", id, n), nil); got.Total != 1 {
					t.Errorf("%s is not found after it was saved", id)
				}
				if err := s.LogMetrics(ctx, id, experiments.MetricBatch{"loss": {{Step: 1, Value: float64(n)}}}); err != nil {
					t.Error(err)
				}
				if got := find(t, s, fmt.Sprintf("id = '%s' AND loss = %d", id, n), nil); got.Total != 1 {
					t.Errorf("%s is not found by its metric", id)
				}
				if _, err := s.UpdateRun(ctx, id, func(r *experiments.Run) error { r.Status = experiments.Finished; r.Params = nil; return nil }); err != nil {
					t.Error(err)
				}
				if got := find(t, s, fmt.Sprintf("id = '%s' AND status = finished AND params.n IS NULL", id), nil); got.Total != 1 {
					t.Errorf("%s is not found as it was changed", id)
				}
				if n%2 == 0 {
					if _, err := s.DeleteRun(ctx, id); err != nil {
						t.Error(err)
					}
					if got := find(t, s, fmt.Sprintf("id = '%s'", id), nil); got.Total != 0 {
						t.Errorf("%s is found after it was deleted", id)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestAWriteThatIsRefusedIsNotInTheIndex(t *testing.T) {
	s, e := fresh(t, Options{})
	find(t, s, "", nil)
	if _, err := s.UpdateRun(ctx, "r", func(r *experiments.Run) error { r.Name = ""; return nil }); err == nil {
		t.Fatal("a run without a name was stored")
	}
	if err := s.LogMetrics(ctx, "nobody", experiments.MetricBatch{"ghost": {{Value: 1}}}); err == nil {
		t.Fatal("points of no run were stored")
	}
	if _, err := s.CreateRun(ctx, experiments.Run{ID: "r", Name: "another", ExperimentID: e, Status: experiments.Running}); err == nil {
		t.Fatal("a run was stored twice")
	}
	if got := find(t, s, "another OR ghost > 0", nil); got.Total != 0 || len(got.Notes) != 1 {
		t.Errorf("found %v, notes %v", ids(got), got.Notes)
	}
}

// TestTheIndexThatFollowedIsTheOneThatIsReadAnew does everything that changes runs, in any order, and holds the index
// that heard of it to one that is filled from the file.
func TestTheIndexThatFollowedIsTheOneThatIsReadAnew(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	find(t, s, "", nil)
	r := rand.New(rand.NewPCG(3, 4))
	var exps []string
	for i := range 4 {
		exps = append(exps, experiment(t, s, fmt.Sprint("e", i)).ID)
	}
	some := func(prefix string) map[string]string {
		m := map[string]string{}
		for range r.IntN(5) {
			m[fmt.Sprint(prefix, r.IntN(6))] = fmt.Sprint(r.IntN(3))
		}
		return m
	}
	for range 3000 {
		id := fmt.Sprint("r", r.IntN(1500))
		switch r.IntN(8) {
		case 0, 1, 2:
			s.SaveRun(ctx, experiments.Run{ID: id, Name: fmt.Sprint("name ", r.IntN(20)), ExperimentID: exps[r.IntN(len(exps))], Status: experiments.Finished,
				CreatedAt: time.Unix(int64(r.IntN(1000)), 0), StartedAt: time.Unix(int64(r.IntN(1000)), 0), Params: some("p"), Tags: some("t"),
				Summary: map[string]float64{fmt.Sprint("s", r.IntN(3)): 1, "m1": 7}})
		case 3, 4:
			s.LogMetrics(ctx, id, experiments.MetricBatch{fmt.Sprint("m", r.IntN(4)): {{Step: r.Int64N(100), Value: []float64{1, 2, math.NaN(), math.Inf(1)}[r.IntN(4)]}}})
		case 5:
			s.RestartMetrics(ctx, id, experiments.MetricBatch{fmt.Sprint("m", r.IntN(4)): {{Step: 1, Value: 5}}})
		case 6:
			s.UpdateRun(ctx, id, func(run *experiments.Run) error { run.Name, run.Tags = "renamed", some("t"); return nil })
		case 7:
			s.DeleteRun(ctx, id)
		}
	}
	if _, err := s.DeleteExperiment(ctx, exps[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := s.UpdateExperiment(ctx, exps[1], func(e *experiments.Experiment) error { e.Name = "another name"; return nil }); err != nil {
		t.Fatal(err)
	}
	var columns []string
	for i := range 6 {
		columns = append(columns, fmt.Sprint("params.p", i), fmt.Sprint("tags.t", i))
	}
	for i := range 4 {
		m := fmt.Sprint("metrics.m", i)
		columns = append(columns, m, "min("+m+")", "max("+m+")", "mean("+m+")", "count("+m+")", fmt.Sprint("metrics.s", i))
	}
	look := func(s *Store) string {
		var out []any
		for _, q := range []struct {
			filter string
			order  []string
		}{
			{"", nil}, {"", []string{"metrics.m1 DESC", "params.p1"}}, {"metrics.m1 > 1", []string{"name"}}, {"renamed", []string{"tags.t2 DESC"}},
			{"'another name' NOT params.p1 = 1", []string{"mean(m2)", "id"}}, {"max(m3) >= 2 OR tags.t1 IS NULL", []string{"started DESC"}},
		} {
			out = append(out, find(t, s, q.filter, q.order, columns...))
		}
		facets, err := s.Columns(ctx, search.Query{}, "")
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.MarshalIndent(append(out, facets), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	followed := look(s)
	sound(t, s)
	s.Close()
	if anew := look(open(t, dir, Options{})); anew != followed {
		for i := range min(len(anew), len(followed)) {
			if anew[i] != followed[i] {
				t.Fatalf("read anew:\n%.600s\n\nfollowed:\n%.600s", anew[max(0, i-300):], followed[max(0, i-300):])
			}
		}
	}
}
