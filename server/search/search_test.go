package search

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/search/query"
)

var (
	ctx = context.Background()
	now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
)

// shelf is an index of few runs, of which each differs from the others.
func shelf() *Index {
	x := New()
	x.Apply([]Change{
		{Experiment: &experiments.Experiment{ID: "e1", Name: "Vision study"}},
		{Experiment: &experiments.Experiment{ID: "e2", Name: "text", Directions: map[string]string{"novelty": "lower"}}},
		{Experiment: &experiments.Experiment{ID: "e3", Name: "old", ArchivedAt: now}},
	})
	run := func(id, exp, name string, status experiments.Status, started time.Time, took time.Duration, params, tags map[string]string) {
		r := experiments.Run{ID: id, ExperimentID: exp, Name: name, Status: status, CreatedAt: started, StartedAt: started, Params: params, Tags: tags}
		if status.Done() {
			r.EndedAt = started.Add(took)
		}
		x.Apply([]Change{{Run: &r}})
	}
	type m = map[string]string
	day := 24 * time.Hour
	run("a", "e1", "ResNet 10", experiments.Finished, now.Add(-30*day), time.Hour, m{"lr": "1e-4", "seed": "1", "opt": "adam"}, m{"team": "zebra", "50%_done": "yes"})
	run("b", "e1", "ResNet 9", experiments.Failed, now.Add(-10*day), time.Minute, m{"lr": "0.0001", "seed": "2", "opt": "sgd"}, m{"team": "Zoo"})
	run("c", "e2", "bert", experiments.Running, now.Add(-5*time.Minute), 0, m{"lr": "auto", "training.warmup_ratio": "0.1", "training.learning_rate": "3e-5"}, m{"or": "and"})
	run("d", "e2", "gpt", experiments.Finished, now.Add(-2*day), 2*day, m{"seed": "10"}, nil)
	run("z", "e3", "archived study", experiments.Finished, now, time.Second, nil, nil)
	series := func(id, name string, s Stats) { x.Apply([]Change{{Series: &Series{id, name, s}}}) }
	series("a", "eval/f1", Stats{0.69, 0.42, 0.91, 0.6, 100})
	series("b", "eval/f1", Stats{0.8, 0.1, 0.8, 0.7, 50})
	series("c", "eval/f1", Stats{math.NaN(), 0.2, 0.95, 0.3, 70})
	series("d", "eval/f1", Stats{math.Inf(1), 0.3, 0.5, 0.4, 10})
	series("a", "train/loss", Stats{0.69, 0.42, 2, 0.5, 100})
	series("b", "train/loss", Stats{0.5, 0.45, 2, 0.5, 100})
	series("c", "novelty", Stats{3, 1, 5, 3, 5})
	series("a", "oddity", Stats{3, 1, 5, 3, 5})
	return x
}

// seek searches and gives the ids of what was found.
func seek(t *testing.T, x *Index, filter string, order ...string) ([]string, Result) {
	t.Helper()
	q := Query{Now: now}
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
	got, err := x.Search(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, row := range got.Items {
		ids = append(ids, row.ID)
	}
	return ids, got
}

func TestFiltersFind(t *testing.T) {
	x := shelf()
	for _, c := range []struct{ name, filter, want string }{
		{"everything that is not archived", "", "a b c d"},
		{"a number in other digits", "params.lr = 1e-4", "a b"},
		{"a number in quotes is text", "params.lr = '1e-4'", "a"},
		{"a short name", "lr=0.0001", "a b"},
		{"a word among numbers", "lr = auto", "c"},
		{"a number is not in a word", "lr < 1", "a b"},
		{"unequal is not missing", "lr != 1e-4", "c"},
		{"NOT equal is", "NOT lr = 1e-4", "c d"},
		{"a metric by its last value", "metrics.`eval/f1` > 0.75", "b d"},
		{"by its best", "best(eval/f1) > 0.8", "a c"},
		{"by its greatest", "max(eval/f1) >= 0.8", "a b c"},
		{"by its least", "min(eval/f1) < 0.2", "b"},
		{"by its mean", "mean(f1) > 0.5", "a b"},
		{"by its points", "count(eval/f1) = 100", "a"},
		{"the best of a loss is the least", "best(train/loss) < 0.43", "a"},
		{"the best by what the experiment says", "best(novelty) = 1", "c"},
		{"the last part of a name", "f1 > 0.75", "b d"},
		{"a short name in another case", "F1 > 0.75", "b d"},
		{"an abbreviation", "warmup_ratio = 0.1", "c"},
		{"NaN compares with nothing", "f1 < 0.5 OR f1 > 0.5 OR f1 = 0.5", "a b d"},
		{"NaN is looked for", "f1 = NaN", "c"},
		{"a kind and a key that are quoted", "metrics.\"train/loss\" <= 0.5", "b"},
		{"the issue's example", "metrics.f1 > 0.5 AND params.lr = 1e-4 AND (tags.team LIKE 'z%' OR NOT attributes.status = 'FAILED')", "a"},
		{"LIKE minds the case", "tags.team LIKE 'z%'", "a"},
		{"ILIKE does not", "tags.team ILIKE 'Z%'", "a b"},
		{"NOT LIKE is not missing", "tags.team NOT LIKE 'z%'", "b"},
		{"one character", "name LIKE 'ResNet _'", "b"},
		{"a status in any case", "status = Finished", "a d"},
		{"MLflow's status", "attributes.status != 'FAILED'", "a c d"},
		{"several statuses", "status IN (failed, 'RUNNING')", "b c"},
		{"a list of numbers", "seed NOT IN (1.0, 10)", "b"},
		{"a list for a metric", "metrics.`train/loss` IN (0.5, 7)", "b"},
		{"what is missing", "params.seed IS NULL", "c"},
		{"what is there", "tags.team IS NOT NULL", "a b"},
		{"a word in a name", "resnet", "a b"},
		{"a word in an experiment's name", "VISION", "a b"},
		{"a word in a tag", "zebra", "a"},
		{"a phrase", `"resnet 9"`, "b"},
		{"two words", "resnet zebra", "a"},
		{"a word and no other", "resnet NOT zebra", "b"},
		{"a tag named like a word of the language", "tags.or = 'and'", "c"},
		{"a tag with characters of the language", "tags.`50%_done` = yes", "a"},
		{"a day", "started > 2026-11-15", "b c d"},
		{"a day is the whole of it", "started = 2026-11-28", "d"},
		{"up to a day's end", "started <= 2026-11-28", "a b d"},
		{"days ago", "started > -3d", "c d"},
		{"milliseconds", "attributes.start_time < 1795236000000", "a b"},
		{"a duration", "duration > 10m", "a d"},
		{"the duration of one that runs", "duration = 300 AND duration >= 5m", "c"},
		{"an end that is not there yet", "ended IS NULL", "c"},
		{"the experiment", "experiment = 'text'", "c d"},
		{"an id", "run_id IN ('a','d')", "a d"},
		{"AND before OR", "name = bert OR name = gpt AND seed = 99", "c"},
		{"a key that no run has", "nothing > 1", ""},
		{"NOT of a key that no run has", "NOT nothing > 1", "a b c d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := seek(t, x, c.filter, "id")
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s finds %v, want %s", c.filter, got, c.want)
			}
		})
	}
}

func TestNotesSayWhatAKeyMayMean(t *testing.T) {
	x := shelf()
	for _, c := range []struct{ name, filter, kind, near string }{
		{"a typing error", "metrics.eval/fl > 0.5", "unknown_key", "metrics.eval/f1"},
		{"the wrong kind", "params.team = 'x'", "unknown_key", "tags.team"},
		{"a short one", "teem = x", "unknown_key", "tags.team"},
		{"an attribute", "attributes.statu = 'x'", "unknown_key", "attributes.status"},
		{"a fold", "best(eval/f2) > 1", "unknown_key", "best(metrics.eval/f1)"},
		{"nothing alike", "metrics.xyzzyxyzzy > 1", "unknown_key", ""},
		{"no direction", "best(oddity) > 1", "no_direction", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := seek(t, x, c.filter)
			if len(got.Notes) != 1 || got.Notes[0].Kind != c.kind || c.near != "" && (len(got.Notes[0].Near) == 0 || got.Notes[0].Near[0] != c.near) || got.Notes[0].Message == "" {
				t.Errorf("notes %+v", got.Notes)
			}
		})
	}
	x.Apply([]Change{{Series: &Series{"a", "test/f1", Stats{Last: 1}}}})
	if ids, got := seek(t, x, "f1 = 1"); len(got.Notes) != 1 || got.Notes[0].Kind != "ambiguous_key" || got.Notes[0].Near[0] != "metrics.test/f1" || len(ids) != 0 {
		t.Errorf("found %v, notes %+v", ids, got.Notes)
	}
	got, err := x.Search(ctx, Query{Experiments: []string{"e2"}, Filter: mustParse("team = 'zebra'")})
	if err != nil || len(got.Notes) != 1 {
		t.Errorf("a key of another experiment: notes %+v, error %v", got.Notes, err)
	}
}

func mustParse(text string) query.Node {
	n, err := query.Parse(text)
	if err != nil {
		panic(err)
	}
	return n
}

func TestValuesThatAKeyCannotBeComparedWithAreErrors(t *testing.T) {
	for filter, want := range map[string]string{
		"metrics.train/loss > 'much'": "filter: at character 22: metrics.train/loss: want a number, have \"much\"",
		"started > soon":              "filter: at character 11: want a time such as",
		"duration > long":             "filter: at character 12: attributes.duration: want a duration such as",
		"status = done":               "filter: at character 10: want a status (queued, running, finished, failed, interrupted or reused), have \"done\"",
		"f1 LIKE '0.%'":               "filter: at character 1: metrics.eval/f1 is a number, which LIKE does not compare",
		"started LIKE '2026-11-01'":   "filter: at character 1: attributes.started is a time, which LIKE does not compare",
	} {
		_, err := shelf().Search(ctx, Query{Filter: mustParse(filter), Now: now})
		var at *query.Error
		if experiments.CodeOf(err) != experiments.CodeInvalid || !errors.As(err, &at) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", filter, err, want)
		}
	}
}

func TestOrders(t *testing.T) {
	x := shelf()
	for _, c := range []struct{ name, order, want string }{
		{"what is not finite comes after what is, upwards", "eval/f1", "a b d c"},
		{"and downwards", "eval/f1 DESC", "b a d c"},
		{"by the best", "best(eval/f1) DESC", "c a b d"},
		{"what is missing comes last, upwards", "train/loss", "b a c d"},
		{"and downwards", "train/loss DESC", "a b c d"},
		{"numbers in a parameter are numbers", "params.seed DESC", "d b a c"},
		{"numbers before words", "params.lr", "b a c d"}, // a and b are equal: the newest first
		{"names as people count", "name", "c d b a"},
		{"several keys", "params.opt|seed DESC", "a b d c"},
		{"times", "started", "a b d c"},
		{"durations", "duration", "b c a d"},
		{"a key that no run has", "nothing DESC", "c d b a"},
		{"nothing: the newest first", "", "c d b a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := seek(t, x, "", strings.FieldsFunc(c.order, func(r rune) bool { return r == '|' })...)
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s gives %v, want %s", c.order, got, c.want)
			}
		})
	}
}

func TestArchivedRunsAreApart(t *testing.T) {
	x := shelf()
	for archived, want := range map[Archived]int{Without: 4, Also: 5, Only: 1} {
		if got, err := x.Search(ctx, Query{Archived: archived}); err != nil || got.Total != want {
			t.Errorf("%q: %d runs, want %d; %v", archived, got.Total, want, err)
		}
	}
	if got, err := x.Search(ctx, Query{Experiments: []string{"e3"}}); err != nil || got.Total != 1 {
		t.Errorf("an archived experiment by its name: %d runs, %v", got.Total, err)
	}
	if _, err := x.Search(ctx, Query{Experiments: []string{"none"}}); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("an experiment that is not there: %v", err)
	}
	if _, err := x.Search(ctx, Query{Archived: "maybe"}); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("archived=maybe: %v", err)
	}
}

// TestPagesAreStableWhileRunsChange pages through while others add, change and remove runs: those that stay as they
// are come once each.
func TestPagesAreStableWhileRunsChange(t *testing.T) {
	x := New()
	x.Apply([]Change{{Experiment: &experiments.Experiment{ID: "e", Name: "e"}}})
	r := rand.New(rand.NewPCG(5, 6))
	put := func(id string) {
		x.Apply([]Change{{Run: &experiments.Run{ID: id, Name: id, ExperimentID: "e", Status: experiments.Running, CreatedAt: now, StartedAt: now.Add(-time.Duration(r.IntN(50)) * time.Second)}},
			{Series: &Series{id, "m", Stats{Last: []float64{1, 2, 3, math.NaN(), math.Inf(-1)}[r.IntN(5)]}}}})
	}
	for _, order := range []string{"m DESC", "m", "name", "duration DESC", "missing", "started"} {
		for i := range 300 {
			put(fmt.Sprint("stays", i))
			put(fmt.Sprint("moves", i))
		}
		o, _ := query.ParseOrder(order)
		q := Query{Order: []query.Order{o}, Limit: 7, Filter: mustParse("NOT started > -1s")}
		seen := map[string]int{}
		for page := 0; ; page++ {
			q.Now = now.Add(time.Duration(page) * time.Second) // time passes, and so do durations
			got, err := x.Search(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range got.Items {
				seen[row.ID]++
			}
			if q.Cursor = got.Next; q.Cursor == "" {
				break
			}
			put(fmt.Sprint("new", order, page))
			put(fmt.Sprint("moves", r.IntN(300)))
			x.Apply([]Change{{RemovedRun: fmt.Sprint("moves", r.IntN(300))}})
			if page%20 == 0 {
				x.mu.Lock()
				x.compact()
				x.mu.Unlock()
			}
		}
		for i := range 300 {
			if id := fmt.Sprint("stays", i); seen[id] > 1 || seen[id] == 0 && !slices.Contains(startedNow(x), id) {
				t.Errorf("%s: %s was seen %d times", order, id, seen[id])
			}
		}
	}
}

// startedNow are the runs that the filter of the test above leaves out.
func startedNow(x *Index) (ids []string) {
	got, err := x.Search(ctx, Query{Filter: mustParse("started > -1s"), Now: now, Limit: 1000})
	if err != nil {
		panic(err)
	}
	for _, row := range got.Items {
		ids = append(ids, row.ID)
	}
	return ids
}

func TestACursorOfAnotherSearchIsRefused(t *testing.T) {
	x := shelf()
	first, err := x.Search(ctx, Query{Limit: 1})
	if err != nil || first.Next == "" {
		t.Fatal(first, err)
	}
	for name, q := range map[string]Query{
		"another filter": {Cursor: first.Next, Filter: mustParse("resnet")},
		"another order":  {Cursor: first.Next, Order: []query.Order{{Key: query.Key{Name: "name"}}}},
		"another scope":  {Cursor: first.Next, Experiments: []string{"e1"}},
		"no cursor":      {Cursor: "abc"},
		"no base64":      {Cursor: "%%"},
	} {
		if _, err := x.Search(ctx, q); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestColumnsSayWhatVaries(t *testing.T) {
	x := shelf()
	facets := func(q Query, part string) map[string]Facet {
		got, err := x.Columns(ctx, q, part)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]Facet{}
		for _, f := range got.Items {
			out[f.Key] = f
		}
		return out
	}
	all := facets(Query{}, "")
	for key, want := range map[string]Facet{
		"metrics.eval/f1":    {Type: "number", Runs: 4, Distinct: 4, Varies: true, Direction: Higher},
		"metrics.train/loss": {Type: "number", Runs: 2, Distinct: 2, Varies: true, Direction: Lower},
		"metrics.novelty":    {Type: "number", Runs: 1, Distinct: 1, Varies: true, Direction: Lower},
		"params.lr":          {Type: "mixed", Runs: 3, Distinct: 3, Varies: true},
		"params.seed":        {Type: "number", Runs: 3, Distinct: 3, Varies: true},
		"tags.50%_done":      {Type: "text", Runs: 1, Distinct: 1, Varies: true},
	} {
		if f := all[key]; f.Type != want.Type || f.Runs != want.Runs || f.Distinct != want.Distinct || f.Varies != want.Varies || f.Direction != want.Direction {
			t.Errorf("%s: %+v", key, f)
		}
	}
	if f := all["metrics.eval/f1"]; f.Least == nil || *f.Least != 0.69 || *f.Greatest != 0.8 {
		t.Errorf("bounds %+v", f)
	}
	some := facets(Query{Filter: mustParse("resnet")}, "E")
	if len(some) != 4 || some["params.seed"].Runs != 2 || some["tags.team"].Distinct != 2 {
		t.Errorf("of the found ones: %v", some)
	}
	if f := facets(Query{Filter: mustParse("name = 'ResNet 9'")}, ""); f["params.lr"].Varies || f["metrics.eval/f1"].Varies {
		t.Errorf("of one run nothing varies: %v", f)
	}
}

func TestGroupsHaveMeanAndSpread(t *testing.T) {
	x := shelf()
	key := func(text string) query.Key {
		k, err := query.ParseKey(text)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	got, err := x.Groups(ctx, Query{Columns: []query.Key{key("eval/f1"), key("params.seed")}}, []query.Key{key("lr")})
	if err != nil || got.Groups != 3 || got.Total != 4 {
		t.Fatalf("%+v, %v", got, err)
	}
	first := got.Items[0] // 1e-4 and 0.0001 are one
	f1 := first.Columns["metrics.eval/f1"]
	if first.Runs != 2 || f1.Runs != 2 || math.Abs(*f1.Mean-0.745) > 1e-12 || math.Abs(*f1.SD-0.0777817459305202) > 1e-12 || *f1.Least != 0.69 || *f1.Greatest != 0.8 {
		t.Errorf("%+v, %+v", first, f1)
	}
	if s := first.Columns["params.seed"]; *s.Mean != 1.5 {
		t.Errorf("seeds %+v", s)
	}
	if auto := got.Items[1]; auto.By["params.lr"] != "auto" || auto.Columns["metrics.eval/f1"].Missing != 1 || auto.Columns["metrics.eval/f1"].Mean != nil {
		t.Errorf("%+v", auto)
	}
	if rest := got.Items[2]; len(rest.By) != 0 || rest.Runs != 1 {
		t.Errorf("%+v", rest)
	}
	down, _ := query.ParseOrder("max(eval/f1) DESC")
	if got, err = x.Groups(ctx, Query{Order: []query.Order{down}}, []query.Key{key("status")}); err != nil || got.Items[0].By["attributes.status"] != "running" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestDirectionsFollowTheNamesOfTheField(t *testing.T) {
	for name, want := range map[string]Direction{
		"eval/loss": Lower, "train_loss": Lower, "val-accuracy": Higher, "abtest/a/macro_f1": Higher, "rmse": Lower, "perplexity": Lower,
		"tokens_per_second": Higher, "step_seconds": Lower, "f1.ALLOW": Higher, "learning_rate": Unknown, "epoch": Unknown, "novelty": Unknown,
		"train/samples_per_second": Higher, "error_rate": Lower, "closs": Unknown,
	} {
		if got := DirectionOf(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func FuzzSearch(f *testing.F) {
	x := shelf()
	for _, text := range []string{"f1 > 0.5", "resnet NOT a = 1", "params.lr IN (1, 'a') OR duration < 1h"} {
		f.Add(text, "name DESC", "abc")
	}
	f.Fuzz(func(t *testing.T, filter, order, cursor string) {
		n, err := query.Parse(filter)
		if err != nil {
			return
		}
		q := Query{Filter: n, Now: now, Limit: 2, Cursor: cursor}
		if o, err := query.ParseOrder(order); err == nil {
			q.Order = append(q.Order, o)
		}
		whole, err := x.Search(ctx, Query{Filter: n, Now: now, Order: q.Order})
		if err != nil {
			if experiments.CodeOf(err) != experiments.CodeInvalid {
				t.Fatalf("%q: %v", filter, err)
			}
			return
		}
		x.Search(ctx, q)
		q.Cursor = ""
		for i := 0; ; {
			page, err := x.Search(ctx, q)
			if err != nil {
				t.Fatal(err)
			}
			for _, row := range page.Items {
				if row.ID != whole.Items[i].ID {
					t.Fatalf("%q by %q: place %d", filter, order, i)
				}
				i++
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				if i != len(whole.Items) {
					t.Fatalf("%d of %d", i, len(whole.Items))
				}
				return
			}
		}
	})
}
