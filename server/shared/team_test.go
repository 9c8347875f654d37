package shared

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"triality/experiments"
	"triality/experiments/graph"
)

// member is someone of a team, with a folder of results of their own.
type member struct {
	t     *testing.T
	dir   string
	store *Store

	mu    sync.Mutex
	ran   []string // steps, in order
	notes []string
}

func newMember(t *testing.T, name, where string) *member {
	t.Helper()
	st, err := Open(t.Context(), Options{Where: where, Region: "us-east-1", By: name})
	if err != nil {
		t.Fatal(err)
	}
	return &member{t: t, dir: t.TempDir(), store: st}
}

type body struct {
	Of   graph.Input `yaml:"of" takes:"table" optional:"true" doc:"a table"`
	Word string      `yaml:"word" doc:"a word"`
}

const bigSize = smallFile + 16

// kinds are one that computes, whose result has a small and a large file, and one that shows.
func (m *member) kinds() []graph.Kind {
	outline := func(kind string, b *body, files ...string) (graph.Outline, error) {
		key, err := graph.Key(kind, b.Of.Key(), b.Word)
		return graph.Outline{Key: key, Files: files, Gives: map[string]string{"words": "out/words.txt", "shown": "shown.json"}}, err
	}
	show := func(_ context.Context, w graph.Work) (any, error) {
		text, err := os.ReadFile(w.Body.(*body).Of.Path())
		return string(text), err
	}
	return []graph.Kind{{
		Name: "word", Cost: graph.Costly, Body: func() any { return &body{} }, Gives: []graph.Output{{Name: "words", Type: graph.Table}},
		Artifacts: []graph.Artifact{{File: "out/words.txt", Path: "words.txt", MediaType: "text/plain"}},
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			return outline("word", p.Body.(*body), "out")
		},
		Run: func(_ context.Context, w graph.Work) error {
			m.mu.Lock()
			m.ran = append(m.ran, w.Step.Name)
			m.mu.Unlock()
			b, before := w.Body.(*body), []byte(nil)
			if b.Of.Path() != "" {
				var err error
				if before, err = os.ReadFile(b.Of.Path()); err != nil {
					return err
				}
				if _, err := os.ReadFile(filepath.Join(filepath.Dir(b.Of.Path()), "big.bin")); err != nil {
					return err
				}
			}
			if err := os.MkdirAll(w.File("out"), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(w.File("out/words.txt"), append(before, b.Word...), 0o644); err != nil {
				return err
			}
			if err := w.Sink.Metrics(experiments.MetricBatch{"words/bytes": {{Step: 1, Value: float64(len(before))}}}); err != nil {
				return err
			}
			w.Sink.Note("made " + b.Word)
			return os.WriteFile(w.File("out/big.bin"), bytes.Repeat([]byte(w.Step.Key[:16]), bigSize/16), 0o644)
		},
	}, {
		Name: "show", Cost: graph.Free, Body: func() any { return &body{} },
		Plan: func(_ context.Context, p graph.Planning) (graph.Outline, error) {
			return outline("show", p.Body.(*body), "shown.json")
		},
		Run: graph.WriteShown("shown.json", show), Show: show,
	}}
}

func (m *member) Begin(context.Context, *graph.Planned, time.Time) (graph.Sink, error) { return m, nil }
func (m *member) Keep(context.Context, *graph.Planned) error                           { return nil }
func (m *member) Reuse(_ context.Context, s *graph.Planned, points experiments.MetricBatch) error {
	if s.Kind.Cost != graph.Free && len(points["words/bytes"]) != 1 {
		m.t.Errorf("%s is taken over with %v", s.Name, points)
	}
	return nil
}
func (m *member) End(context.Context, *graph.Planned, time.Time, error, bool) error { return nil }
func (m *member) Progress(experiments.Progress)                                     {}
func (m *member) Metrics(experiments.MetricBatch) error                             { return nil }
func (m *member) Note(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes = append(m.notes, text)
}

// plan gives the plan of a graph, in which "a" is a word that others take.
func (m *member) plan(text string) *graph.Plan {
	m.t.Helper()
	g, err := graph.Parse("g.yaml", []byte(text), m.kinds())
	if err != nil {
		m.t.Fatal(err)
	}
	tell := func(*graph.Planned) graph.Teller { return m }
	env := graph.Env{Dir: m.dir, Device: "cpu", Tell: tell}
	if m.store != nil {
		env.Shared = m.store
	}
	p, err := g.Make(m.t.Context(), m.kinds(), env)
	if err != nil {
		m.t.Fatal(err)
	}
	return p
}

// run runs a graph and gives the steps that computed.
func (m *member) run(text string) (*graph.Plan, string) {
	m.t.Helper()
	p := m.plan(text)
	m.ran = nil
	x := graph.Executor{RunID: "run", Tell: func(*graph.Planned) graph.Teller { return m }}
	if err := x.Run(m.t.Context(), p, m); err != nil {
		m.t.Fatal(err)
	}
	slices.Sort(m.ran)
	return p, strings.Join(m.ran, " ")
}

func (m *member) said(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.notes, func(n string) bool { return strings.Contains(n, text) })
}

func stepOf(t *testing.T, p *graph.Plan, name string) *graph.Planned {
	t.Helper()
	for _, s := range p.Steps {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no step %s", name)
	return nil
}

func content(t *testing.T, s *graph.Planned, rel string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Here(), filepath.FromSlash(rel)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// words are four steps that compute, of which c needs b, which needs a, as d does, and one that shows.
const words = `steps:
  - {name: a, kind: word, body: {word: one}}
  - {name: b, kind: word, body: {of: "${a.words}", word: two}}
  - {name: c, kind: word, body: {of: "${b.words}", word: three}}
  - {name: d, kind: word, body: {of: "${a.words}", word: four}}
  - {name: look, kind: show, body: {of: "${c.words}"}}
`

// places are a folder and a bucket.
func places(t *testing.T, f func(t *testing.T, where string)) {
	t.Run("folder", func(t *testing.T) { f(t, filepath.Join(t.TempDir(), "team")) })
	t.Run("bucket", func(t *testing.T) { f(t, newBucket(t)) })
}

func newBucket(t *testing.T) string {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	backend := s3mem.New()
	if err := backend.CreateBucket("results"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	return server.URL + "/results/team"
}

func TestAColleaguesResultsAreTakenOverAndAnEditRunsItsDependentsAlone(t *testing.T) {
	places(t, func(t *testing.T, where string) {
		alice, bob := newMember(t, "alice@one", where), newMember(t, "bob@two", where)
		first, ran := alice.run(words)
		if ran != "a b c d" {
			t.Fatalf("alice ran %q", ran)
		}
		p := bob.plan(words)
		for _, name := range []string{"a", "b", "c", "d"} {
			s, made := stepOf(t, p, name), stepOf(t, first, name)
			if s.Done == nil || s.Done.By != "alice@one" || s.Away == "" || s.Done.Seconds <= 0 || !slices.Equal(s.Done.Notes, graph.Finished(made.Dir, made.Key).Notes) {
				t.Fatalf("%s: %+v, away in %q", name, s.Done, s.Away)
			}
			if got, want := content(t, s, "out/words.txt"), content(t, made, "out/words.txt"); got != want {
				t.Errorf("%s has %q, want %q", name, got, want)
			}
			if _, err := os.Stat(filepath.Join(s.Here(), "out", "big.bin")); err == nil {
				t.Errorf("%s: the large file was fetched to look at it", name)
			}
		}
		look := stepOf(t, p, "look")
		if shown := p.Show(t.Context())[look]; string(shown.Value) != `"onetwothree"` || shown.Err != nil {
			t.Errorf("it shows %s, waits for %v, %v", shown.Value, shown.Waits, shown.Err)
		}
		if p, ran := bob.run(words); ran != "" || stepOf(t, p, "c").Away == "" {
			t.Errorf("bob ran %q of what alice has", ran)
		}
		p, ran = bob.run(strings.Replace(words, "word: two", "word: zwei", 1))
		if ran != "b c" {
			t.Errorf("an edit of b ran %q", ran)
		}
		if got := content(t, stepOf(t, p, "look"), "shown.json"); strings.TrimSpace(got) != `"onezweithree"` {
			t.Errorf("after it there is shown %s", got)
		}
		if a := stepOf(t, p, "a"); a.Away != "" || content(t, a, "out/big.bin") != content(t, stepOf(t, first, "a"), "out/big.bin") {
			t.Errorf("what b takes was not fetched whole: it is in %q", a.Here())
		}
		if d := stepOf(t, p, "d"); d.Away == "" {
			t.Error("the large file of d was fetched, which nothing took")
		}
		// What bob made is there for alice, with whose it is.
		if p, ran := alice.run(strings.Replace(words, "word: two", "word: zwei", 1)); ran != "" || stepOf(t, p, "b").Done.By != "bob@two" || stepOf(t, p, "a").Done.By != "" {
			t.Errorf("alice ran %q; b is of %q, a of %q", ran, stepOf(t, p, "b").Done.By, stepOf(t, p, "a").Done.By)
		}
	})
}

func TestResultsThatWereMadeWithoutTheStoreAreSharedByTheNextRunThatTakesThemOver(t *testing.T) {
	where := filepath.Join(t.TempDir(), "team")
	alice := newMember(t, "alice@one", where)
	st := alice.store
	alice.store = nil
	alice.run(words)
	alice.store = st
	if _, ran := alice.run(words); ran != "" {
		t.Errorf("alice ran %q again", ran)
	}
	if _, ran := newMember(t, "bob@two", where).run(words); ran != "" {
		t.Errorf("bob ran %q", ran)
	}
}

func TestWorkGoesOnWithoutAStoreAndSaysSo(t *testing.T) {
	mount := filepath.Join(t.TempDir(), "mount")
	if _, err := Open(t.Context(), Options{Where: filepath.Join(mount, "team")}); experiments.CodeOf(err) != experiments.CodeUnavailable {
		t.Fatalf("a store on what is not mounted: %v", err)
	}
	if err := os.Mkdir(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	alice := newMember(t, "alice@one", filepath.Join(mount, "team"))
	if err := os.Rename(mount, mount+".away"); err != nil {
		t.Fatal(err)
	}
	if _, ran := alice.run(words); ran != "a b c d" {
		t.Errorf("without the store alice ran %q", ran)
	}
	if !alice.said("is gone") {
		t.Errorf("nothing was said of the store: %q", alice.notes)
	}
	if _, err := os.Stat(mount); err == nil {
		t.Error("the store was made anew where nothing is mounted")
	}
	if err := os.Rename(mount+".away", mount); err != nil {
		t.Fatal(err)
	}
	back := newMember(t, "alice@one", filepath.Join(mount, "team")) // as the next run's process has it
	back.dir = alice.dir
	if _, ran := back.run(words); ran != "" {
		t.Errorf("with the store back alice ran %q again", ran)
	}
	if _, ran := newMember(t, "bob@two", filepath.Join(mount, "team")).run(words); ran != "" {
		t.Errorf("what was made meanwhile was not shared: bob ran %q", ran)
	}
}

func TestTwoThatShareOneResultAtOnceDoNoHarm(t *testing.T) {
	places(t, func(t *testing.T, where string) {
		members := []*member{newMember(t, "alice@one", where), newMember(t, "bob@two", where), newMember(t, "carol@three", where)}
		var plans []*graph.Plan
		for _, m := range members {
			st := m.store
			m.store = nil
			p, _ := m.run(words)
			m.store = st
			plans = append(plans, p)
		}
		var all sync.WaitGroup
		for i, m := range members {
			for _, s := range plans[i].Steps {
				if s.Kind.Cost != graph.Free {
					all.Go(func() {
						if err := m.store.Publish(t.Context(), s); err != nil {
							t.Error(err)
						}
					})
				}
			}
		}
		all.Wait()
		dave := newMember(t, "dave@four", where)
		if p, ran := dave.run(strings.Replace(words, "word: three", "word: drei", 1)); ran != "c" || content(t, stepOf(t, p, "b"), "out/big.bin") != content(t, stepOf(t, plans[0], "b"), "out/big.bin") {
			t.Errorf("dave ran %q", ran)
		}
	})
}
