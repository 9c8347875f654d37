package sweep

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"triality/experiments/graph"
)

const (
	gridBody    = `{of: tuned, keys: {config.rate: [1, 0.4, 2], config.rank: [4, 8]}, metric: "${tuned.metrics.eval/loss}", direction: min}`
	randomBody  = `{of: tuned, keys: {config.rate: {log_uniform: [0.01, 3]}, config.rank: {integer: [1, 16]}, config.names: {choice: [[a], [b, c]]}}, metric: "${exam.metrics.test/accuracy}", method: random, samples: 7, seed: 5}`
	halvingBody = `{of: tuned, keys: {config.rate: {uniform: [0, 3]}}, metric: "${tuned.metrics.eval/loss}", direction: min, method: halving, samples: 9, eta: 3, budget: {key: config.epochs, min: 1, max: 9}}`
)

func TestAGridRunsEveryCombinationAndHandsTheBestOn(t *testing.T) {
	k := &toy{}
	p, h, err := k.sweepOnce(t, t.TempDir(), gridBody, 2)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := tableOf(t, p)
	var names []string
	for _, pt := range r.Points {
		names = append(names, pt.Name)
		if pt.State != Finished || pt.Value == nil {
			t.Errorf("%+v", pt)
		}
	}
	if got := strings.Join(names, "; "); got != "rate=1, rank=4; rate=1, rank=8; rate=0.4, rank=4; rate=0.4, rank=8; rate=2, rank=4; rate=2, rank=8" {
		t.Errorf("%s", got)
	}
	if r.Best.Name != "rate=0.4, rank=8" || r.Best.Point != 3 || r.Looks != 6 || r.Points[3].Tries[0].Rank != 1 {
		t.Errorf("%+v, %d looks", r.Best, r.Looks)
	}
	want := stepOf(t, p, "search").Variants[3].First()
	have, err := os.ReadFile(stepOf(t, p, "search").Output("best.model"))
	made, err2 := os.ReadFile(want.Output("model"))
	if err != nil || err2 != nil || string(have) != string(made) {
		t.Errorf("best.model is %q, the best point's %q; %v, %v", have, made, err, err2)
	}
	if _, err := os.Stat(stepOf(t, p, "final").Output("result")); err != nil {
		t.Errorf("what takes the best has not run: %v", err)
	}
	if !slices.ContainsFunc(h.notes, func(n string) bool { return strings.Contains(n, "best of 6 looks") }) {
		t.Errorf("%q", h.notes)
	}
}

// A point is a run of its configuration alone: the same keys, and what either has made the other takes over.
func TestAPointHasTheKeysOfItsConfigurationAlone(t *testing.T) {
	k, dir := &toy{}, t.TempDir()
	alone := `steps:
  - {name: data, kind: rows}
  - {name: mine, kind: train, body: {rows: "${data.dataset}", config: {rate: 0.4, rank: 8}}}
`
	h := &heard{}
	g, err := graph.Parse("g.yaml", []byte(alone), k.kinds())
	if err != nil {
		t.Fatal(err)
	}
	solo, err := g.Make(t.Context(), k.kinds(), env(dir, h))
	if err == nil {
		err = graph.Executor{}.Run(t.Context(), solo, h)
	}
	if err != nil {
		t.Fatal(err)
	}
	k.ran = nil
	p, h, err := k.sweepOnce(t, dir, gridBody, 1)
	if err != nil {
		t.Fatal(err)
	}
	v := stepOf(t, p, "search").Variants[3]
	if v.First().Key != stepOf(t, solo, "mine").Key {
		t.Errorf("the point has another key than its configuration alone")
	}
	if slices.Contains(k.ran, "train 0.4/8/1") || !slices.Contains(h.lines, "reuse rate=0.4, rank=8: tuned") {
		t.Errorf("ran %q; %q", k.ran, h.lines)
	}
	text, err := p.Solo(v).YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := graph.Parse("solo.yaml", []byte(text), k.kinds())
	if err != nil {
		t.Fatal(err)
	}
	plan, err := again.Make(t.Context(), k.kinds(), env(dir, h))
	if err != nil || !plan.Done() || stepOf(t, plan, "tuned").Key != v.First().Key {
		t.Errorf("the point's own graph is not finished by the sweep; %v\n%s", err, text)
	}
}

// Whenever it is killed, at the beginning or the end of whatever step, the sweep goes on to the same table.
func TestASweepKilledAtEveryStepEndsWithTheSameTable(t *testing.T) {
	for name, body := range map[string]string{
		"grid":    `{of: tuned, keys: {config.rate: [1, 0.4], config.rank: [8]}, metric: "${tuned.metrics.eval/loss}", direction: min}`,
		"random":  strings.Replace(randomBody, "samples: 7", "samples: 2", 1),
		"halving": strings.Replace(halvingBody, "samples: 9, eta: 3", "samples: 4, eta: 2", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := &toy{}
			p, _, err := whole.sweepOnce(t, t.TempDir(), body, 1)
			if err != nil {
				t.Fatal(err)
			}
			_, want := tableOf(t, p)
			for stop := 1; stop <= len(whole.ran); stop++ {
				for _, after := range []bool{false, true} {
					if after && stop%2 == 0 {
						continue
					}
					dir := t.TempDir()
					cut := &toy{stop: stop, after: after}
					if _, _, err := cut.sweepOnce(t, dir, body, 1); err == nil && !(after && stop == len(whole.ran)) {
						t.Fatalf("killed at %d, it ended well", stop)
					}
					rest := &toy{}
					p, h, err := rest.sweepOnce(t, dir, body, 2)
					if err != nil {
						t.Fatal(err)
					}
					if _, got := tableOf(t, p); got != want {
						t.Errorf("killed at %d (after: %v), another table:\n%s\nwant\n%s", stop, after, got, want)
					}
					lost := 1
					if after {
						lost = 0
					}
					if n := stop - lost + len(rest.ran); n != len(whole.ran) {
						t.Errorf("killed at %d (after: %v), %d steps ran instead of %d: %q", stop, after, n, len(whole.ran), h.lines)
					}
				}
			}
		})
	}
}

func TestHalvingStopsWhatItSaysAndSaysWhy(t *testing.T) {
	k := &toy{}
	p, _, err := k.sweepOnce(t, t.TempDir(), halvingBody, 1)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := tableOf(t, p)
	if len(r.Rounds) != 3 || r.Rounds[0].Points != 9 || r.Rounds[1].Points != 3 || r.Rounds[2].Points != 1 || string(r.Rounds[1].Budget) != "3" || r.Looks != 13 {
		t.Errorf("%+v, %d looks", r.Rounds, r.Looks)
	}
	epochs := map[string]int{} // trainings by their budget
	for _, name := range k.ran {
		if rest, ok := strings.CutPrefix(name, "train "); ok {
			epochs[rest[strings.LastIndexByte(rest, '/')+1:]]++
		}
	}
	if epochs["1"] != 9+1 || epochs["3"] != 3 || epochs["9"] != 1 { // one is the step as it stands
		t.Errorf("trained %v", epochs)
	}
	states := map[string]int{}
	for _, pt := range r.Points {
		states[pt.State]++
		last := pt.Tries[len(pt.Tries)-1]
		if pt.State == Stopped && (last.Rank <= r.Rounds[len(pt.Tries)].Points || !strings.Contains(pt.Reason, "of which")) {
			t.Errorf("%+v", pt)
		}
		// No point that was stopped did better in its round than one that went on.
		for _, other := range r.Points {
			if len(other.Tries) > len(pt.Tries) && *other.Tries[len(pt.Tries)-1].Value > *last.Value {
				t.Errorf("%s was stopped and %s was not", pt.Name, other.Name)
			}
		}
	}
	if states[Stopped] != 8 || states[Finished] != 1 {
		t.Errorf("%v", states)
	}
}

func TestPointsWithoutAValueAreInTheTableAndNoneIsBest(t *testing.T) {
	body := `{of: tuned, keys: {config.rate: [4, 6, 2, 1]}, metric: "${tuned.metrics.eval/loss}", direction: min, METHOD}`
	for method, best := range map[string]string{"method: grid": "rate=1", "method: halving, eta: 2, budget: {key: config.epochs, min: 2, max: 4}": "rate=1"} {
		k := &toy{}
		p, _, err := k.sweepOnce(t, t.TempDir(), strings.Replace(body, "METHOD", method, 1), 2)
		if err != nil {
			t.Fatal(err)
		}
		r, _ := tableOf(t, p)
		if r.Points[0].State != Failed || !strings.Contains(r.Points[0].Reason, "eval/loss is NaN") || r.Points[1].State != Failed || !strings.Contains(r.Points[1].Reason, "not finite") {
			t.Errorf("%+v", r.Points)
		}
		if r.Best.Name != best || len(r.Points[0].Tries) != 1 || len(r.Points[1].Tries) != 1 {
			t.Errorf("%+v", r)
		}
	}
	k := &toy{}
	if _, _, err := k.sweepOnce(t, t.TempDir(), `{of: tuned, keys: {config.rate: [6, 7]}, metric: "${tuned.metrics.eval/loss}"}`, 1); err == nil || !strings.Contains(err.Error(), "no point has a value: rate=6") {
		t.Errorf("%v", err)
	}
}

func TestASeriesThatIsNotThereIsToldAtTheFirstPoint(t *testing.T) {
	k := &toy{}
	_, _, err := k.sweepOnce(t, t.TempDir(), `{of: tuned, keys: {config.rate: [1, 2, 3, 4]}, metric: "${tuned.metrics.eval/los}"}`, 1)
	if err == nil || !strings.Contains(err.Error(), "step tuned logs no series eval/los; the nearest is eval/loss") {
		t.Errorf("%v", err)
	}
	if n := len(k.ran); n > 5 { // rows, the steps as they stand, one point, and one that had begun
		t.Errorf("%q ran", k.ran)
	}
}

// Ties are decided by the order of the points, whatever ends first.
func TestEqualPointsRankInTheirOrder(t *testing.T) {
	list := []measured{{3, 1}, {1, 1}, {2, 0.5}, {0, 1}}
	rank(list, Max)
	if list[0].point != 0 || list[1].point != 1 || list[2].point != 3 || list[3].point != 2 {
		t.Errorf("%+v", list)
	}
}

func TestDrawnPointsAreAFunctionOfTheSeed(t *testing.T) {
	names := func(seed uint64) (out []string) {
		b := Kind().Body().(*Body)
		if err := yaml.Unmarshal([]byte("{a: {log_uniform: [1.0e-5, 1.0e-2]}, b: {choice: [x, y]}, c: {integer: [1, 3]}, d: {uniform: [0, 1]}}"), &b.Keys); err != nil {
			t.Fatal(err)
		}
		b.Method, b.Samples, b.Seed = Random, 200, seed
		points, err := b.points()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			out = append(out, p.name)
		}
		return out
	}
	one := names(1)
	if !slices.Equal(one, names(1)) || slices.Equal(one, names(2)) {
		t.Error("the points are not the seed's")
	}
	if one[0] != "a=0.004686, b=y, c=3, d=0.9139" { // the same on every machine and in every version
		t.Errorf("the first is %s", one[0])
	}
	tiny := 0
	for _, name := range one {
		var a float64
		if _, err := fmt.Sscanf(name, "a=%g,", &a); err != nil || a < 1e-5 || a > 1e-2 {
			t.Errorf("%s: %v", name, err)
		}
		if a < 1e-4 {
			tiny++
		}
	}
	if tiny < 40 || tiny > 95 { // a third of them, by their logarithm
		t.Errorf("%d of 200 are below 1e-4", tiny)
	}
}

func TestMistakesOfASweepAreSaidAtTheirLines(t *testing.T) {
	head := `steps:
- {name: data, kind: rows}
- {name: tuned, kind: train, body: {rows: "${data.dataset}"}}
- {name: exam, kind: test, body: {model: "${tuned.model}"}}
- name: search
  kind: sweep
  body:
`
	good := []string{"of: tuned", "metric: ${tuned.metrics.eval/loss}", "keys:", "  config.rate: [1, 2]"}
	const random = "method: random"
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"of: tune", good[1], good[2], good[3]}, "g.yaml:8: search: of: there is no step tune; the nearest is tuned"},
		{[]string{"of: search", good[1], good[2], good[3]}, "g.yaml:8: search: of: search is the step itself"},
		{[]string{good[1], good[2], good[3]}, "search: of: is needed"},
		{[]string{good[0], good[2], good[3]}, `metric: "": want ${STEP.metrics.SERIES}`},
		{[]string{good[0], "metric: ${tuned.model}", good[2], good[3]}, `g.yaml:9: search: metric: "${tuned.model}": want ${STEP.metrics.SERIES}`},
		{[]string{good[0], "metric: ${data.metrics.x}", good[2], good[3]}, "g.yaml:9: search: metric: step data does not depend on tuned"},
		{[]string{good[0], "metric: ${nobody.metrics.x}", good[2], good[3]}, "g.yaml:9: search: metric: there is no step nobody"},
		{[]string{good[0], good[1]}, "keys: is needed"},
		{[]string{good[0], good[1], good[2], "  config.rat: [1]"}, "g.yaml:11: config.rat: unknown key; the nearest known key is config.rate"},
		{[]string{good[0], good[1], good[2], "  config.rate: [1, 11]"}, "g.yaml:11: config.rate: must be at least 0 and at most 10, is 11"},
		{[]string{good[0], good[1], good[2], "  config.rate: [1, fast]"}, `g.yaml:11: config.rate: want a number, have "fast"`},
		{[]string{good[0], good[1], good[2], "  config.rate: [1, 1]"}, "1 is given twice"},
		{[]string{good[0], good[1], good[2], "  config.rate: 1"}, "want a list of values"},
		{[]string{good[0], good[1], good[2], "  config.rate: {normal: [0, 1]}"}, "or one of choice, uniform, log_uniform, integer"},
		{[]string{good[0], good[1], good[2], "  config.rate: {uniform: [2, 1]}"}, "line 11: config.rate: uniform: 2 is not below 1"},
		{[]string{good[0], good[1], good[2], "  config.rate: {log_uniform: [0, 1]}"}, "its numbers are above 0"},
		{[]string{good[0], good[1], good[2], "  config.rate: {integer: [0.5, 1]}"}, "integer wants whole numbers"},
		{[]string{good[0], good[1], good[2], "  config.rate: {uniform: [0, 1]}"}, "g.yaml:11: search: keys: config.rate: a grid wants a list"},
		{[]string{good[0], good[1], good[2], "  config: [{rate: 1}]", "  config.rate: [1]"}, "g.yaml:12: search: keys: config.rate and config change the same"},
		{[]string{good[0], good[1], random, good[2], good[3]}, "samples: is needed"},
		{[]string{good[0], good[1], random, "samples: 3", good[2], good[3]}, "3 different points are asked for, and the keys gave 2"},
		{[]string{good[0], good[1], "samples: 3", good[2], good[3]}, "samples: a grid has every combination"},
		{[]string{good[0], good[1], "budget: {key: config.epochs, min: 1, max: 3}", good[2], good[3]}, "budget: is of method: halving"},
		{[]string{good[0], good[1], "method: halving", good[2], good[3]}, "budget: is needed"},
		{[]string{good[0], good[1], "method: halving", "budget: {key: config.epochs, min: 1, max: 2}", good[2], good[3]}, "at least eta (3) times min"},
		{[]string{good[0], good[1], "method: halving", "budget: {key: config.rate, min: 1, max: 3}", good[2], good[3]}, "config.rate and config.rate change the same"},
		{[]string{good[0], good[1], "method: halving", "budget: {key: config.epoch, min: 1, max: 3}", good[2], good[3]}, "config.epoch: unknown key"},
		{[]string{good[0], good[1], good[2], "  rows: ['${search.table}', '${data.dataset}']"}, "is a table; here it must be a data set"},
		{[]string{good[0], good[1], good[2], "  seed: [1, 2]", "- {name: other, kind: sweep, body: {of: search, metric: '${search.metrics.x}', keys: {seed: [1]}}}"}, "is of kind sweep, which asks for steps itself"},
	} {
		text := head
		for _, l := range c.lines {
			if !strings.HasPrefix(l, "- ") {
				l = "    " + l
			}
			text += l + "\n"
		}
		k := &toy{}
		g, err := graph.Parse("g.yaml", []byte(text), k.kinds())
		if err == nil {
			err = g.Check(k.kinds())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%v\nwant %q", strings.Join(c.lines, "\n"), err, c.want)
		}
	}
	// What the points need cannot wait for the best of them.
	loop := head + `    of: tuned
    metric: ${tuned.metrics.x}
    keys: {rows: ["${data.dataset}", "${more.dataset}"]}
- {name: more, kind: rows, body: {after: "${search.best.model}"}}
`
	k := &toy{}
	g, err := graph.Parse("g.yaml", []byte(loop), k.kinds())
	if err == nil {
		err = g.Check(k.kinds())
	}
	if err == nil || !strings.Contains(err.Error(), "the steps wait for each other: search needs more needs search") {
		t.Errorf("%v", err)
	}
	if err := graph.Graph.Check(parsed(t, k, strings.Replace(loop, `, "${more.dataset}"`, "", 1)), k.kinds()); err != nil {
		t.Errorf("what takes the best is no mistake: %v", err)
	}
}

func parsed(t *testing.T, k *toy, text string) graph.Graph {
	t.Helper()
	g, err := graph.Parse("g.yaml", []byte(text), k.kinds())
	if err != nil {
		t.Fatal(err)
	}
	return g
}
