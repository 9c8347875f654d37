package books

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/notebook"
	"triality/experiments/pipeline"
	"triality/server/store"
)

// content plans as the engine does: a step's key is the hash of its kind, its body and the keys of what it takes.
type content struct {
	done map[string]bool
	fail map[string]string // cell: what its plan fails with, by its line
	// shared are results that came from the shared store, by key.
	shared map[string]*pipeline.SharedResult
}

var sharedAt = time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC)

var ref = regexp.MustCompile(`\$\{([a-z0-9]+)\.[a-z]+\}`)

func (c *content) Plan(_ context.Context, text, _ string) ([]pipeline.PlannedStep, error) {
	keys := map[string]string{}
	var out []pipeline.PlannedStep
	cells := notebook.Parse("config", text).Cells()
	for len(out) < len(cells) {
		before := len(out)
		for _, b := range cells {
			if keys[b.Cell.ID] != "" {
				continue
			}
			if text, ok := c.fail[b.Cell.ID]; ok {
				return nil, experiments.Errorf(experiments.CodeInvalid, "step %s: config:%d: %s", b.Cell.ID, b.Line+1, text)
			}
			ready, needs := true, []string(nil)
			body := ref.ReplaceAllStringFunc(b.Cell.Body, func(s string) string {
				name := ref.FindStringSubmatch(s)[1]
				needs = append(needs, name)
				ready = ready && keys[name] != ""
				return keys[name]
			})
			if !ready {
				continue
			}
			sum := sha256.Sum256([]byte(b.Cell.Kind + "\n" + body))
			key := hex.EncodeToString(sum[:])
			keys[b.Cell.ID] = key
			step := pipeline.PlannedStep{Name: b.Cell.ID, Kind: b.Cell.Kind, Key: key, Needs: needs, TakenOver: c.done[key], Shared: c.shared[key]}
			if step.Shared != nil {
				step.FinishedAt, step.Seconds = sharedAt, 23
			}
			out = append(out, c.free(b, step, keys))
		}
		if len(out) == before {
			return nil, fmt.Errorf("a cycle")
		}
	}
	return out, nil
}

// free adds what a chart shows.
func (c *content) free(b notebook.Block, s pipeline.PlannedStep, keys map[string]string) pipeline.PlannedStep {
	if s.Kind != "chart" {
		return s
	}
	s.Cost = "free"
	for _, n := range s.Needs {
		if !c.done[keys[n]] {
			s.Waits = append(s.Waits, n)
		}
	}
	switch {
	case len(s.Waits) > 0:
	case strings.Contains(b.Cell.Body, "wrong"):
		s.Problem = fmt.Sprintf("config:%d: %s: title: is wrong", b.Line+2, b.Cell.ID)
	default:
		s.Shown = []byte(`{"of": 1}`)
	}
	return s
}

type bench struct {
	t    *testing.T
	st   *store.Store
	plan *content
	desk *Desk
	exp  string
	n    int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, st: st, plan: &content{done: map[string]bool{}, fail: map[string]string{}}}
	e, err := st.EnsureExperiment(context.Background(), "e")
	if err != nil {
		t.Fatal(err)
	}
	b.exp = e.ID
	b.desk = NewDesk(context.Background(), st, b.plan)
	t.Cleanup(func() {
		b.desk.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// run records a run of a notebook that computed every cell, but those that are said to have another status.
func (b *bench) run(book, text string, other map[string]experiments.Status) experiments.Run {
	b.t.Helper()
	steps, err := b.plan.Plan(context.Background(), text, "")
	if err != nil {
		b.t.Fatal(err)
	}
	b.n++
	at := time.Date(2026, 11, 30, 10, b.n, 0, 0, time.UTC)
	run := experiments.Run{ID: fmt.Sprintf("run-%d", b.n), ExperimentID: b.exp, Name: "r", Status: experiments.Finished, CreatedAt: at, StartedAt: at, EndedAt: at.Add(time.Second), Config: text,
		Tags: map[string]string{}}
	if book != "" {
		run.Tags[experiments.TagBook] = book
	}
	for _, s := range steps {
		status := experiments.Finished
		if b.plan.done[s.Key] {
			status = experiments.Reused
		}
		if o, ok := other[s.Name]; ok {
			status = o
		}
		step := experiments.Step{Name: s.Name, Kind: s.Kind, Key: s.Key, Status: status, StartedAt: at, EndedAt: at.Add(2 * time.Second)}
		switch status {
		case experiments.Failed:
			step.Error, run.Status = "out of memory", experiments.Failed
		case experiments.Running:
			run.Status, run.EndedAt, step.EndedAt = experiments.Running, time.Time{}, time.Time{}
			step.Progress = &experiments.Progress{Done: 3, Total: 10}
		case experiments.Queued:
			step.StartedAt, step.EndedAt = time.Time{}, time.Time{}
		default:
			b.plan.done[s.Key] = true
		}
		run.Steps = append(run.Steps, step)
	}
	if err := b.st.SaveRun(context.Background(), run); err != nil {
		b.t.Fatal(err)
	}
	return run
}

// status asks until the desk has seen every run.
func (b *bench) status(book, text string) Status {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		b.desk.results.mu.Lock()
		seen := len(b.desk.results.ofBook["b.md"])
		b.desk.results.mu.Unlock()
		if seen >= b.n { // and those that it made itself
			break
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("the desk saw %d of %d runs", seen, b.n)
		}
	}
	s, err := b.desk.Status(context.Background(), book, text)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func states(s Status) string {
	var out []string
	for _, c := range s.Cells {
		out = append(out, c.ID+" "+string(c.State))
	}
	return strings.Join(out, ", ")
}

func cellOf(t *testing.T, s Status, id string) Cell {
	t.Helper()
	i := slices.IndexFunc(s.Cells, func(c Cell) bool { return c.ID == id })
	if i < 0 {
		t.Fatalf("no cell %s among %s", id, states(s))
	}
	return s.Cells[i]
}

const three = `---
title: Ranks
name: ranks
---

` + "```triality convert id=rows" + `
base_model: m
data:
  input_path: rows.jsonl
` + "```" + `

` + "```triality finetune id=tune" + `
base_model: m
dataset: ${rows.dataset}
training:
  lora_r: 8
` + "```" + `

` + "```triality abtest id=ab" + `
model_a: m
model_b: ${tune.model}
test_data: ${rows.dataset}
` + "```" + `
`

func TestACellsStateFollowsWhatItWouldCompute(t *testing.T) {
	b := newBench(t)
	if got := states(b.status("b.md", three)); got != "rows new, tune new, ab new" {
		t.Errorf("before any run: %s", got)
	}
	first := b.run("b.md", three, nil)
	s := b.status("b.md", three)
	if got := states(s); got != "rows fresh, tune fresh, ab fresh" {
		t.Errorf("after a run: %s", got)
	}
	if s.Title != "Ranks" || cellOf(t, s, "tune").Run != first.ID {
		t.Errorf("after a run: title %q, run %q", s.Title, cellOf(t, s, "tune").Run)
	}

	edited := strings.Replace(three, "lora_r: 8", "lora_r: 16", 1)
	s = b.status("b.md", edited)
	if got := states(s); got != "rows fresh, tune stale, ab stale" {
		t.Errorf("after an edit: %s", got)
	}
	ab := cellOf(t, s, "ab")
	if !slices.Equal(ab.Changes, []string{"tune"}) || ab.Run != first.ID || ab.ShownOf == ab.Key || ab.ShownOf == "" {
		t.Errorf("the A/B cell is stale by %v and shows %s of run %q", ab.Changes, ab.ShownOf, ab.Run)
	}
	if got := states(b.status("b.md", strings.Replace(three, "lora_r: 8", "lora_r: 8 # eight", 1))); got != "rows fresh, tune stale, ab stale" && got != "rows fresh, tune fresh, ab fresh" {
		t.Errorf("a comment: %s", got)
	}
	b.run("b.md", edited, nil)
	if got := states(b.status("b.md", three)); got != "rows fresh, tune fresh, ab fresh" {
		t.Errorf("the edit undone: %s", got)
	}
	if got := cellOf(t, b.status("b.md", three), "tune").Run; got != first.ID {
		t.Errorf("the edit undone shows run %s, want the first", got)
	}

	// Another notebook of the same text has the results by their keys, from the run that computed them.
	c := cellOf(t, b.status("copy.md", three), "tune")
	if c.State != Cached || c.Run != first.ID || c.Seconds != 2 {
		t.Errorf("a copy is %s of run %q, which took %g s", c.State, c.Run, c.Seconds)
	}
}

func TestACellIsStaleByTheSettingThatChanged(t *testing.T) {
	b := newBench(t)
	b.run("b.md", three, nil)
	b.plan.done = map[string]bool{} // a seed is in every key
	s := b.status("b.md", strings.Replace(three, "name: ranks", "name: ranks\nseed: 5", 1))
	if c := cellOf(t, s, "ab"); c.State != Stale || !slices.Equal(c.Settings, []string{"seed"}) || c.Changes != nil {
		t.Errorf("%s by %v and %v", c.State, c.Changes, c.Settings)
	}
	s = b.status("b.md", three)
	if c := cellOf(t, s, "ab"); c.State != Stale || c.Settings != nil || c.Changes != nil {
		t.Errorf("what a path leads to has changed: %s by %v and %v", c.State, c.Changes, c.Settings)
	}
}

func TestACellUnderWaySaysSo(t *testing.T) {
	b := newBench(t)
	run := b.run("b.md", three, map[string]experiments.Status{"tune": experiments.Running, "ab": experiments.Queued})
	s := b.status("b.md", three)
	if got := states(s); got != "rows fresh, tune running, ab queued" || s.Run != run.ID {
		t.Errorf("under way: %s in %q", got, s.Run)
	}
	if c := cellOf(t, s, "tune"); c.Progress == nil || c.Progress.Done != 3 {
		t.Errorf("progress %v", c.Progress)
	}
	// What was edited meanwhile is not what runs.
	if got := states(b.status("b.md", strings.Replace(three, "lora_r: 8", "lora_r: 9", 1))); got != "rows fresh, tune new, ab new" {
		t.Errorf("edited while it runs: %s", got)
	}
}

func TestAFailedCellSaysWhy(t *testing.T) {
	b := newBench(t)
	b.run("b.md", three, map[string]experiments.Status{"tune": experiments.Failed, "ab": experiments.Queued})
	s := b.status("b.md", three)
	if c := cellOf(t, s, "tune"); c.State != Failed || c.Error != "out of memory" {
		t.Errorf("%s: %s", c.State, c.Error)
	}
	if got := states(b.status("b.md", strings.Replace(three, "lora_r: 8", "lora_r: 9", 1))); !strings.Contains(got, "tune new") {
		t.Errorf("after an edit: %s", got)
	}
}

func TestWhatIsWrongWithOneCellLeavesTheOthers(t *testing.T) {
	b := newBench(t)
	for text, want := range map[string]string{
		strings.Replace(three, "lora_r: 8", "lora_q: 8", 1):                                "rows new, tune wrong, ab blocked",
		strings.Replace(three, "${rows.dataset}\ntraining", "${row.dataset}\ntraining", 1): "rows new, tune wrong, ab blocked",
		strings.Replace(three, "model_b: ${tune.model}", "model_b: ${tun.model}", 1):       "rows new, tune new, ab wrong",
		strings.Replace(three, "name: ranks", "nam: ranks", 1):                             "rows blocked, tune blocked, ab blocked",
	} {
		s := b.status("b.md", text)
		if got := states(s); got != want || len(s.Problems) != 1 {
			t.Errorf("%s with %v, want %s", got, s.Problems, want)
		}
	}
	b.plan.fail["rows"] = "no file rows.jsonl"
	s := b.status("b.md", three)
	if got := states(s); got != "rows wrong, tune blocked, ab blocked" || len(s.Problems) != 1 || s.Problems[0].Line != 7 {
		t.Errorf("a plan that fails: %s with %v", got, s.Problems)
	}
}

// Cells of a graph of 200 are changed, one at a time: exactly those that need it, however far, are stale. TRIALITY_PAIRS=1
// changes every one.
func TestAChangeMakesExactlyTheDependentsStale(t *testing.T) {
	b := newBench(t)
	r := rand.New(rand.NewPCG(1, 2))
	const n = 200
	needs := make([][]int, n)
	cells := make([]string, n) // with a verb for a number of their own
	write := func(change int) string {
		var out strings.Builder
		for i, cell := range cells {
			number := 1000 + i
			if i == change {
				number += 10_000
			}
			fmt.Fprintf(&out, cell+"\n", number)
		}
		return out.String()
	}
	cells[0] = "```triality convert id=c0\nbase_model: m\ndata:\n  input_path: rows%d.jsonl\n```\n"
	for i := 1; i < n; i++ {
		needs[i] = []int{0}
		take := func() string {
			j := r.IntN(min(i, n/2+1))
			if j == 0 {
				return "m"
			}
			needs[i] = append(needs[i], j)
			return fmt.Sprintf("${c%d.model}", j)
		}
		if i > n/2 {
			cells[i] = fmt.Sprintf("```triality abtest id=c%d\nmodel_a: %s\nmodel_b: %s\ntest_data: ${c0.dataset}\nmax_length: %%d\n```\n", i, take(), take())
		} else {
			cells[i] = fmt.Sprintf("```triality finetune id=c%d\nbase_model: %s\ndataset: ${c0.dataset}\nmax_length: %%d\n```\n", i, take())
		}
	}
	whole := write(-1)
	if _, problems := notebook.Parse("config", whole).Sound(b.desk.kinds); len(problems) > 0 {
		t.Fatalf("the graph has mistakes: %v", problems[0])
	}
	b.run("b.md", whole, nil)
	if s := b.status("b.md", whole); slices.ContainsFunc(s.Cells, func(c Cell) bool { return c.State != Fresh }) {
		t.Fatalf("after a run: %s", states(s))
	}
	// For every pair: the change of one, the state of the other.
	step := 9
	if os.Getenv("TRIALITY_PAIRS") != "" {
		step = 1
	}
	for change := 0; change < n; change += step {
		want := map[int]bool{change: true}
		for i := change + 1; i < n; i++ {
			want[i] = slices.ContainsFunc(needs[i], func(j int) bool { return want[j] })
		}
		maps.DeleteFunc(want, func(_ int, stale bool) bool { return !stale })
		s := b.status("b.md", write(change))
		for i, c := range s.Cells {
			state := Fresh
			if want[i] {
				state = Stale
			}
			if c.State != state {
				t.Fatalf("c%d changed: c%d is %s, want %s", change, i, c.State, state)
			}
			if want[i] && !slices.Equal(c.Changes, []string{fmt.Sprintf("c%d", change)}) {
				t.Fatalf("c%d changed: c%d says %v", change, i, c.Changes)
			}
		}
	}
}

func TestACellThatShowsWhatOthersGaveWaitsForThemAndHasItWithoutARun(t *testing.T) {
	b := newBench(t)
	text := three + "\n```triality chart id=c\nof: ${tune.metrics}\n```\n"
	s := b.status("b.md", text)
	if c := cellOf(t, s, "c"); c.State != Waits || !slices.Equal(c.Waits, []string{"tune"}) || c.Shown != nil || c.Run != "" {
		t.Errorf("%+v", c)
	}
	b.run("b.md", text, nil)
	s = b.status("b.md", text)
	if c := cellOf(t, s, "c"); c.State != Fresh || string(c.Shown) != `{"of": 1}` || c.Cost != "free" {
		t.Errorf("%+v", c)
	}
	s = b.status("b.md", strings.Replace(text, "metrics}\n", "metrics}\ntitle: wrong\n", 1))
	if c := cellOf(t, s, "c"); c.State != Wrong || c.Shown != nil {
		t.Errorf("%+v", c)
	}
	if len(s.Problems) != 1 || s.Problems[0].Cell != "c" || s.Problems[0].Text != "title: is wrong" {
		t.Errorf("%+v", s.Problems)
	}
	if c := cellOf(t, s, "tune"); c.State != Fresh {
		t.Errorf("%+v", c)
	}
}
