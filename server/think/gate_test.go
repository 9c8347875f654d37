package think

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/audit"
)

const secret = "zebra quartz nephew of the treasurer"

// sections is a well-formed text up to its final.
func sections(final string) []string {
	text := "<think-task>" + secret + "</think-task><think-safety>" + secret + " again</think-safety><think-policy>" + secret + " thrice</think-policy>" + final
	var out []string // pieces that cut tags and words
	for i := 0; i < len(text); i += 7 {
		out = append(out, text[i:min(len(text), i+7)])
	}
	return out
}

const answer = "Four. Two and two are four, as every child at school has learnt by heart."

// TestOnlyTheFinalLeavesOnEveryPath looks for thinking in everything that is told, logged or stored.
func TestOnlyTheFinalLeavesOnEveryPath(t *testing.T) {
	t.Parallel()
	closed := sections("<final>" + answer + "</final>")
	for name, c := range map[string]struct {
		pieces  []string
		then    string
		outcome string // of one who does not stream; a failure of the process is told as one
	}{
		"well-formed":                       {closed, "", "answered"},
		"more behind the final":             {append(slices.Clone(closed), "<think-task>"+secret), "", "answered"},
		"a failure behind the final":        {closed, "fail", "answered"},
		"no sections":                       {[]string{secret, " and so on"}, "", "withheld no_sections"},
		"the thinking is cut":               {sections("")[:8], "", "withheld cut"},
		"the final is cut":                  {sections("<final>" + answer), "", "withheld cut"},
		"thinking in the final":             {sections("<final>" + answer + " " + secret + ".</final>"), "", "withheld repeated"},
		"a tag in the final":                {sections("<final>" + answer + " <think-task>" + secret + "</final>"), "", "withheld look_alike"},
		"the model fails in its thinking":   {sections("")[:8], "fail", "failed model"},
		"the model fails in its final":      {sections("<final>" + answer), "fail", "failed model"},
		"the model panics":                  {sections("<final>" + answer), "panic", "failed process"},
		"a goroutine of the model panics":   {sections("<final>" + answer), "crash", "failed process"},
		"the process leaves":                {sections("<final>" + answer), "exit", "failed process"},
		"the model panics in its thinking":  {sections("")[:8], "panic", "failed process"},
		"nothing at all":                    {nil, "", "withheld no_sections"},
		"the model hangs in its final":      {sections("<final>" + answer), "hang", "failed process"},
		"the model waits behind its answer": {sections("<final>" + answer), "wait", "failed time"},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, stream %v", name, stream), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, plan{Verdict: "ALLOW", Pieces: c.pieces, Then: c.then, Mark: filepath.Join(t.TempDir(), "mark")}, func(o *Options) {
					o.Grace = 200 * time.Millisecond
					if c.then == "hang" || c.then == "wait" {
						o.Time = 2 * time.Second
					}
				})
				h, err := w.ask(stream)
				if err != nil {
					t.Fatal(err)
				}
				if h.outcome() != c.outcome {
					t.Errorf("the outcome is %q, want %q: %s", h.outcome(), c.outcome, h.end.Message)
				}
				switch {
				case c.outcome == "answered" && h.text != answer, c.outcome != "answered" && !stream && h.text != "", !strings.HasPrefix(answer+" ", h.text):
					t.Errorf("%q leaves", h.text)
				}
				told, _ := json.Marshal([]any{h.verdict, h.text, h.end})
				w.clean("what was told", string(told))
				w.clean("the logger", w.said.String())
				if err := filepath.WalkDir(w.dir, func(path string, e fs.DirEntry, err error) error {
					if err == nil && !e.IsDir() && e.Name() != "model" {
						var text []byte
						text, err = os.ReadFile(path)
						w.clean(path, string(text))
					}
					return err
				}); err != nil {
					t.Fatal(err)
				}
				if got := w.entries(); len(got) != 2 || got[0] != "request ALLOW" || got[1] != "answer "+c.outcome {
					t.Errorf("the log has %q", got)
				}
			})
		}
	}
}

func (w *world) clean(what, text string) {
	w.t.Helper()
	for _, word := range strings.Fields(secret) {
		if len(word) > 4 && strings.Contains(text, word) {
			w.t.Errorf("%s has %q: %s", what, word, text)
		}
	}
}

func TestWhatTheProcessPrintsGoesNowhere(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says where a process prints to")
	}
	w := newWorld(t, plan{Verdict: "ALLOW", Then: "hang", Pieces: sections("<final>" + answer)}, nil)
	p, err := start(t.Context(), w.gate.o, Order{Dir: filepath.Join(w.dir, "model")}, []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill("it is over")
	if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/2", p.cmd.Process.Pid)); err != nil || to != os.DevNull {
		t.Errorf("it prints to %q: %v", to, err)
	}
}

func TestTheLogHasItBeforeItIsTold(t *testing.T) {
	t.Parallel()
	for _, stream := range []bool{false, true} {
		w := newWorld(t, plan{Verdict: "ALLOW", Pieces: sections("<final>" + answer + "</final>")}, nil)
		var at []string
		h := &heard{onStep: func(step string) {
			at = append(at, fmt.Sprint(step, " ", len(w.entries())))
		}}
		if err := w.gate.Ask(t.Context(), asked(stream), h); err != nil {
			t.Fatal(err)
		}
		if first, last := at[0], at[len(at)-1]; first < "verdict 1" || last != "end 2" || stream && at[1] != "text 1" || !stream && at[1] != "text 2" {
			t.Errorf("stream %v: entries at each step: %q", stream, at)
		}
		var entry audit.Entry
		if err := audit.Read(w.log.Dir(), func(e audit.Entry) bool {
			if e.Kind == audit.KindAnswer {
				entry = e
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if len(entry.Sections) != 4 || entry.Of != 1 || h.verdict.Request != 1 || h.verdict.Hash != strings.Repeat("ab", 32) {
			t.Errorf("%+v %+v", entry, h.verdict)
		}
	}
}

func TestNothingLeavesWhenTheLogRefuses(t *testing.T) {
	t.Parallel()
	for _, verdict := range experiments.Labels {
		w := newWorld(t, plan{Verdict: verdict, Pieces: sections("<final>" + answer + "</final>")}, nil)
		if err := w.log.Close(); err != nil {
			t.Fatal(err)
		}
		h, err := w.ask(true)
		if experiments.CodeOf(err) != experiments.CodeUnavailable || h.verdict != nil || h.text != "" || h.end != nil {
			t.Errorf("%s: %v, and %+v is told", verdict, err, h)
		}
		if all, err := w.waiting.List(); err != nil || len(all) > 0 {
			t.Errorf("%s: %d wait: %v", verdict, len(all), err)
		}
	}
	w := newWorld(t, plan{Verdict: "ALLOW", Pieces: sections("<final>" + answer + "</final>")}, nil)
	h := &heard{onText: func() { w.log.Close() }}
	if err := w.gate.Ask(t.Context(), asked(true), h); experiments.CodeOf(err) != experiments.CodeUnavailable || h.end != nil {
		t.Errorf("the log refuses under an answer: %v, %+v", err, h.end)
	}
}

func TestWhatIsNotAllowedIsAnsweredByAFixedText(t *testing.T) {
	t.Parallel()
	for _, verdict := range experiments.Labels[1:] {
		w := newWorld(t, plan{Verdict: verdict, Pieces: sections("<final>" + answer + "</final>")}, nil)
		for query, language := range map[string]string{"two?": "en", "二は？": "ja"} {
			h := &heard{}
			q := asked(query == "two?")
			q.Text = query
			if err := w.gate.Ask(t.Context(), q, h); err != nil {
				t.Fatal(err)
			}
			if h.text != fixedTexts[verdict][language] || h.text == "" || h.verdict.Verdict != verdict {
				t.Errorf("%s: %q is answered by %q", verdict, query, h.text)
			}
		}
		want, waits := "refused", 0
		if verdict == "ESCALATION" {
			want, waits = "waits", 2
		}
		all, err := w.waiting.List()
		if got := w.entries(); err != nil || len(all) != waits || len(got) != 4 || got[1] != "answer "+want {
			t.Errorf("%s: %d wait, the log has %q: %v", verdict, len(all), got, err)
		}
	}
}

func TestWhoIsGoneStopsTheWriting(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"context", "listener"} {
		mark := filepath.Join(t.TempDir(), "mark")
		w := newWorld(t, plan{Verdict: "ALLOW", Pieces: sections("<final>" + answer), Then: "wait", Mark: mark}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		h := &heard{deaf: how == "listener"}
		if how == "context" {
			h.onText = cancel
		}
		err := w.gate.Ask(ctx, asked(true), h)
		cancel()
		if err == nil {
			t.Errorf("%s: no error", how)
		}
		if _, err := os.Stat(mark); err != nil {
			t.Errorf("%s: the model writes on: %v", how, err)
		}
		if got := w.entries(); got[len(got)-1] != "answer cancelled" {
			t.Errorf("%s: the log has %q", how, got)
		}
		if !w.process().alive() {
			t.Errorf("%s: the process that stopped its writing is gone", how)
		}
	}
}

func TestAProcessThatDiedIsStartedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{Verdict: "ALLOW", Then: "exit"}, nil)
	if h, err := w.ask(false); err != nil || h.outcome() != "failed process" {
		t.Fatalf("%v %q", err, h.outcome())
	}
	w.plan("model", plan{Verdict: "ALLOW", Pieces: sections("<final>" + answer + "</final>")})
	if h, err := w.ask(false); err != nil || h.text != answer {
		t.Errorf("%v %+v", err, h.end)
	}
}

func TestOneModelIsLoadedAndUnloadedWhenNobodyAsks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{Verdict: "DENY"}, func(o *Options) { o.Idle = 300 * time.Millisecond })
	w.plan("other", plan{Verdict: "REFUSE"})
	if _, err := w.ask(false); err != nil {
		t.Fatal(err)
	}
	first := w.process()
	q := asked(false)
	q.Model = "other"
	h := &heard{}
	if err := w.gate.Ask(t.Context(), q, h); err != nil || h.verdict.Verdict != "REFUSE" || h.verdict.Model != "other" {
		t.Fatalf("%v %+v", err, h.verdict)
	}
	if first.alive() {
		t.Error("the first model stays loaded")
	}
	second := w.process()
	until(t, "the model is unloaded", func() bool { return !second.alive() })
	q.Model = "none"
	if err := w.gate.Ask(t.Context(), q, h); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("a model that cannot be loaded: %v", err)
	}
	w.gate.Close()
	if _, err := w.ask(false); experiments.CodeOf(err) != experiments.CodeUnavailable {
		t.Errorf("after the end: %v", err)
	}
}

func TestQueriesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{Verdict: "invalid"}, func(o *Options) { o.Queue = 1 })
	for name, c := range map[string]struct {
		change func(*Query)
		code   experiments.Code
	}{
		"an empty query":     {func(q *Query) { q.Text = "" }, experiments.CodeInvalid},
		"a long query":       {func(q *Query) { q.Text = strings.Repeat("x", MaxQuery+1) }, experiments.CodeTooLarge},
		"no UTF-8":           {func(q *Query) { q.Text = "\xff" }, experiments.CodeInvalid},
		"no tokens":          {func(q *Query) { q.MaxNew = 0 }, experiments.CodeInvalid},
		"too many tokens":    {func(q *Query) { q.MaxNew = MaxNew + 1 }, experiments.CodeInvalid},
		"a cold temperature": {func(q *Query) { q.Temperature = -1 }, experiments.CodeInvalid},
		"a top_p of nothing": {func(q *Query) { q.TopP = 0 }, experiments.CodeInvalid},
		"top_p alone":        {func(q *Query) { q.TopP = 0.5 }, experiments.CodeInvalid},
		"another language":   {func(q *Query) { q.Language = "fr" }, experiments.CodeInvalid},
		"the model says so":  {func(q *Query) {}, experiments.CodeInvalid},
	} {
		q := asked(false)
		c.change(&q)
		if err := w.gate.Ask(t.Context(), q, &heard{}); experiments.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := w.entries(); len(got) > 0 {
		t.Errorf("the log has %q", got)
	}
	w.gate.places <- struct{}{}
	w.gate.places <- struct{}{}
	if _, err := w.ask(false); experiments.CodeOf(err) != experiments.CodeUnavailable {
		t.Errorf("one too many: %v", err)
	}
}

func TestAFaultOfTheModelQuotesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{Verdict: "broken"}, nil)
	q := asked(false)
	q.Text = secret
	err := w.gate.Ask(t.Context(), q, &heard{})
	if err == nil {
		t.Fatal("no error")
	}
	w.clean("the error", err.Error()+w.said.String())
}
