package generate

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTextEndsBeforeTheFirstStopStringHoweverItComesInPieces(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		stop []string
		want string
		done bool
	}{
		"none":                                 {"one two", nil, "one two", false},
		"absent":                               {"one two", []string{"three"}, "one two", false},
		"in the middle":                        {"one two three", []string{" two"}, "one", true},
		"at the start":                         {"one two", []string{"one"}, "", true},
		"half of one at the end":               {"one tw", []string{"two"}, "one tw", false},
		"a false start":                        {"ababac", []string{"abac"}, "ab", true},
		"the first of several":                 {"a\n\nb###c", []string{"###", "\n\n"}, "a", true},
		"one inside another ends first":        {"xabcdy", []string{"abcd", "bc"}, "xa", true},
		"of two that end together, the longer": {"xabcy", []string{"bc", "abc"}, "x", true},
		"characters of several bytes":          {"はい。いいえ。", []string{"。い"}, "はい", true},
		"text after it":                        {"a.b.c.", []string{"."}, "a", true},
	} {
		for size := 1; size <= len(c.text); size++ {
			cut, got := cutter{stop: c.stop}, ""
			for piece := range slices.Chunk([]byte(c.text), size) {
				got += cut.push(string(piece))
				if !strings.HasPrefix(c.want, got) {
					t.Fatalf("%s, pieces of %d: said %q too early, want %q", name, size, got, c.want)
				}
			}
			if got += cut.flush(); got != c.want || cut.done != c.done {
				t.Errorf("%s, pieces of %d: %q, %v; want %q, %v", name, size, got, cut.done, c.want, c.done)
			}
		}
	}
}

// spell decodes an id as one letter, two ids late, so that text is still to come at the end.
type spell struct{ late string }

func (s *spell) Add(id int) string {
	s.late += string(rune('a' + id%26))
	if len(s.late) <= 2 {
		return ""
	}
	out := s.late[:1]
	s.late = s.late[1:]
	return out
}

func (s *spell) Flush() string { out := s.late; s.late = ""; return out }

func letters(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteRune('a' + id%26)
	}
	return b.String()
}

func TestGenerateEndsForEachReasonAndStreamsItsText(t *testing.T) {
	cfg, p := tiny(t, "llama", true)
	e := open(t, devices["cpu"](), cfg, p)
	prompt := tokens(6, 4)
	sampled := Sampling{Temperature: 2, Seed: 7}
	whole, err := e.Generate(t.Context(), Request{Prompt: prompt, MaxNew: 30, Sampling: sampled})
	if err != nil || len(whole.IDs) != 30 || whole.Finish != FinishLength || whole.Text != "" {
		t.Fatalf("%+v, %v", whole, err)
	}
	text := letters(whole.IDs)
	end := slices.Index(whole.IDs, whole.IDs[20])
	for name, c := range map[string]struct {
		req  Request
		want Result
	}{
		"length":                   {Request{MaxNew: 30}, Result{whole.IDs, text, FinishLength, nil}},
		"no tokens asked for":      {Request{MaxNew: 0}, Result{nil, "", FinishLength, nil}},
		"an end id":                {Request{MaxNew: 30, End: whole.IDs[20:21]}, Result{whole.IDs[:end], text[:end], FinishEnd, nil}},
		"a stop string":            {Request{MaxNew: 30, Stop: []string{text[10:14]}}, Result{whole.IDs[:16], text[:strings.Index(text, text[10:14])], FinishStop, nil}},
		"a stop string at the end": {Request{MaxNew: 14, Stop: []string{text[10:14]}}, Result{whole.IDs[:14], text[:strings.Index(text, text[10:14])], FinishStop, nil}},
		"half a stop string":       {Request{MaxNew: 12, Stop: []string{text[10:14]}}, Result{whole.IDs[:12], text[:12], FinishLength, nil}},
	} {
		t.Run(name, func(t *testing.T) {
			streamed := ""
			c.req.Prompt, c.req.Sampling, c.req.Decoder = prompt, sampled, &spell{}
			c.req.Emit = func(s string) { streamed += s }
			got, err := e.Generate(t.Context(), c.req)
			if err != nil || !slices.Equal(got.IDs, c.want.IDs) || got.Text != c.want.Text || got.Finish != c.want.Finish || streamed != got.Text {
				t.Errorf("got %+v, streamed %q, %v\nwant %+v", got, streamed, err, c.want)
			}
		})
	}
	again, err := e.Generate(t.Context(), Request{Prompt: prompt, MaxNew: 30, Sampling: sampled})
	if err != nil || !slices.Equal(again.IDs, whole.IDs) {
		t.Errorf("the same seed gives %v, then %v (%v)", whole.IDs, again.IDs, err)
	}
	for name, other := range map[string]Sampling{"seed": {Temperature: 2, Seed: 8}, "sequence": {Temperature: 2, Seed: 7, Sequence: 1}} {
		if got, err := e.Generate(t.Context(), Request{Prompt: prompt, MaxNew: 30, Sampling: other}); err != nil || slices.Equal(got.IDs, whole.IDs) {
			t.Errorf("another %s gives the same tokens (%v)", name, err)
		}
	}
}

func TestRequestsWithoutMeaningAreRefused(t *testing.T) {
	cfg, p := tiny(t, "llama", true)
	e := open(t, devices["cpu"](), cfg, p)
	for name, r := range map[string]Request{
		"bad sampling":              {Sampling: Sampling{Temperature: -1}},
		"an empty stop string":      {Decoder: &spell{}, Stop: []string{""}},
		"stop strings without text": {Stop: []string{"a"}},
		"streaming without text":    {Emit: func(string) {}},
	} {
		r.Prompt, r.MaxNew = tokens(2, 1), 2
		if _, err := e.Generate(t.Context(), r); err == nil || errors.Is(err, t.Context().Err()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
