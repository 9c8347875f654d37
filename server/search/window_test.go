package search

import (
	"fmt"
	"testing"

	"triality/experiments"
	"triality/server/search/query"
)

func TestAWindowOfASnapshotStaysWhileRunsChange(t *testing.T) {
	x := New()
	x.Apply([]Change{{Experiment: &experiments.Experiment{ID: "e", Name: "e", Primary: "mine"}}})
	put := func(id string, score float64) {
		x.Apply([]Change{{Run: &experiments.Run{ID: id, ExperimentID: "e", Name: id, Status: experiments.Finished, CreatedAt: now, Params: map[string]string{"seed": id, "same": "1", "opt": id[3:]}}},
			{Series: &Series{id, "eval/f1", Stats{Last: score, Count: 1}}}})
	}
	for i := range 100 {
		put(fmt.Sprintf("r%03d", i), float64(i))
	}
	o, err := query.ParseOrder("eval/f1 DESC")
	if err != nil {
		t.Fatal(err)
	}
	ask := func(offset int, token string, table bool) Result {
		t.Helper()
		k, _ := query.ParseKey("metrics.eval/f1")
		got, err := x.Search(ctx, Query{Now: now, Order: []query.Order{o}, Offset: &offset, Snapshot: token, Limit: 10, Table: table, Columns: []query.Key{k}, Vary: 2})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := ask(0, "", false)
	if first.Total != 100 || first.Items[0].ID != "r099" || first.Snapshot == "" || *first.Offset != 0 || first.Next != "" {
		t.Errorf("%+v", first)
	}
	if got, want := fmt.Sprint(first.Varying), "[{params.opt params 10 100} {params.seed params 100 100}]"; got != want {
		t.Errorf("varying %s, want %s", got, want)
	}
	put("new", 1000)
	put("r060", -1) // moves in the order, not in the snapshot
	x.Apply([]Change{{RemovedRun: "r055"}})
	far := ask(35, first.Snapshot, false) // r064 to r055
	if far.Total != 100 || far.Items[4].ID != "r060" || far.Items[4].Values["metrics.eval/f1"] != -1.0 || far.Items[9].ID != "r055" || !far.Items[9].Removed {
		t.Errorf("%+v", far.Items)
	}
	if far.Revision <= first.Revision || far.Snapshot != first.Snapshot {
		t.Errorf("revision %d after %d", far.Revision, first.Revision)
	}
	table := ask(35, first.Snapshot, true)
	if len(table.Items) != 0 || table.Rows.ID[4] != "r060" || table.Cells[0][4] != -1.0 || !table.Rows.Removed[9] || table.Cells[0][9] != nil || table.Rows.ID[9] != "r055" {
		t.Errorf("%+v %v", table.Rows, table.Cells)
	}
	if last := ask(95, first.Snapshot, false); len(last.Items) != 5 || last.Items[4].ID != "r000" {
		t.Errorf("%d rows", len(last.Items))
	}
	if over := ask(1000, first.Snapshot, false); len(over.Items) != 0 || over.Total != 100 {
		t.Errorf("%d rows", len(over.Items))
	}
	for what, q := range map[string]Query{
		"an unknown snapshot": {Offset: new(int), Snapshot: "x", Order: []query.Order{o}}, "one of another search": {Offset: new(int), Snapshot: first.Snapshot},
		"one without an offset": {Snapshot: first.Snapshot, Order: []query.Order{o}},
	} {
		if _, err := x.Search(ctx, q); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	for range maxSnapshots { // push it out
		ask(0, "", false)
	}
	if _, err := x.Search(ctx, Query{Now: now, Order: []query.Order{o}, Offset: new(int), Snapshot: first.Snapshot}); experiments.CodeOf(err) != experiments.CodeConflict {
		t.Errorf("error %v", err)
	}
}

func TestThePrimaryMetricIsTheExperimentsOrTheMostTelling(t *testing.T) {
	for _, c := range []struct {
		set     string
		metrics []string
		want    string
	}{
		{"", []string{"train/f1", "eval/f1", "eval/loss", "lr"}, "metrics.eval/f1"},
		{"", []string{"abtest/B/f1/ALLOW", "abtest/B/accuracy", "abtest/B/macro_f1"}, "metrics.abtest/B/macro_f1"},
		{"", []string{"abtest/a/macro_f1", "abtest/b/macro_f1", "abtest/delta/macro_f1"}, "metrics.abtest/b/macro_f1"},
		{"", []string{"abtest/a/f1", "lr"}, "metrics.abtest/a/f1"},
		{"", []string{"train/loss", "lr"}, "metrics.train/loss"},
		{"", []string{"loss", "train/accuracy"}, "metrics.loss"},
		{"", []string{"lr", "grad_norm"}, ""},
		{"lr", []string{"lr", "eval/f1"}, "metrics.lr"},
		{"gone", []string{"lr", "eval/f1"}, "metrics.eval/f1"},
	} {
		x := New()
		x.Apply([]Change{{Experiment: &experiments.Experiment{ID: "e", Name: "e", Primary: c.set}}, {Run: &experiments.Run{ID: "r", Name: "r", ExperimentID: "e"}}})
		for _, m := range c.metrics {
			x.Apply([]Change{{Series: &Series{"r", m, Stats{Count: 1}}}})
		}
		got, err := x.Columns(ctx, Query{Experiments: []string{"e"}}, "")
		if err != nil || got.Primary != c.want {
			t.Errorf("%v, set to %q: %q, want %q (%v)", c.metrics, c.set, got.Primary, c.want, err)
		}
	}
}

func TestGroupsArePagedByOffset(t *testing.T) {
	x := New()
	x.Apply([]Change{{Experiment: &experiments.Experiment{ID: "e", Name: "e"}}})
	for i := range 25 {
		x.Apply([]Change{{Run: &experiments.Run{ID: fmt.Sprint(i), Name: "r", ExperimentID: "e", Params: map[string]string{"n": fmt.Sprint(i)}}}})
	}
	k, _ := query.ParseKey("params.n")
	var seen []string
	for offset := 0; offset <= 30; offset += 10 {
		got, err := x.Groups(ctx, Query{Limit: 10, Offset: &offset}, []query.Key{k})
		if err != nil || got.Groups != 25 {
			t.Fatalf("%+v %v", got, err)
		}
		for _, g := range got.Items {
			seen = append(seen, fmt.Sprint(g.By["params.n"]))
		}
	}
	if len(seen) != 25 || seen[0] != "0" || seen[24] != "24" {
		t.Errorf("%v", seen)
	}
}
