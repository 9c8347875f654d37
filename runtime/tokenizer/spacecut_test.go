package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestATextIsCutBeforeEachSpaceThatFollowsSomethingElse(t *testing.T) {
	for text, want := range map[string][]string{
		"":           {""},
		"a":          {"a"},
		"▁":          {"▁"},
		"▁▁▁":        {"▁▁▁"},
		"▁a▁b":       {"▁a", "▁b"},
		"a▁▁b▁":      {"a", "▁▁b", "▁"},
		"▁▁é▁日本▁▁":   {"▁▁é", "▁日本", "▁▁"},
		"a\xe2\x96▁": {"a\xe2\x96", "▁"},
	} {
		var got []string
		for rest := text; ; {
			n := spaceCut(rest)
			got, rest = append(got, rest[:n]), rest[n:]
			if rest == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q is cut into %q, want %q", text, got, want)
		}
	}
}

func TestTextsAreCutOnlyWhereNoMergeReachesAcross(t *testing.T) {
	model := func(merges string, more string) string {
		return `{"model":{"type":"BPE","byte_fallback":true,` + more + `"vocab":{"▁":0,"a":1,"b":2,"▁a":3,"▁▁":4,"ab":5,"b▁":6,"b▁a":7},"merges":[` + merges + `]}}`
	}
	for _, tt := range []struct {
		merges, more string
		cuts         bool
	}{
		{`"▁ a","▁ ▁","a b"`, "", true},
		{`"▁ a","b ▁"`, "", false},
		{`"▁ a","b ▁a"`, "", false},
		{`"▁ a"`, `"ignore_merges":true,`, false},
	} {
		tok, err := parse([]byte(model(tt.merges, tt.more)))
		if err != nil {
			t.Fatal(err)
		}
		if tok.model.cutsAtSpace != tt.cuts {
			t.Errorf("%s %s: cut %t", tt.merges, tt.more, tok.model.cutsAtSpace)
		}
	}
}

// The ids of a text that is cut are those of the whole text as one word.
func TestCuttingChangesNoID(t *testing.T) {
	f := readFixture(t, "sentencepiece")
	cut, err := parse(f.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	if !cut.model.cutsAtSpace {
		t.Fatal("the fixture's tokenizer is not cut")
	}
	whole, err := parse(f.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	whole.model.cutsAtSpace = false
	var pieces []string
	for token := range cut.model.vocab {
		pieces = append(pieces, strings.ReplaceAll(token, spaceMark, " "))
	}
	slices.Sort(pieces)
	pieces = append(pieces, " ", "  ", "   ", spaceMark, "日本", "\U0001f600", "\x00", "\n")
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		var b strings.Builder
		for range random.IntN(30) {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		if a, w := cut.Encode(b.String(), false), whole.Encode(b.String(), false); !slices.Equal(a, w) {
			t.Fatalf("%q: %v, whole %v", b.String(), a, w)
		}
	}
}
