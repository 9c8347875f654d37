package tokenizer

import (
	"cmp"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

func TestLossyReplacesMaximalSubparts(t *testing.T) {
	// Examples of the Unicode Standard, tables 3-8 to 3-11.
	for in, want := range map[string]string{
		"\xc0\xaf\xe0\x80\xbf\xf0\x81\x82A":    "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdA",
		"\xed\xa0\x80\xed\xbf\xbf\xed\xafA":    "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffdA",
		"\xf4\x91\x92\x93\xff\x41\x80\xbfB":    "\ufffd\ufffd\ufffd\ufffd\ufffdA\ufffd\ufffdB",
		"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41": "\ufffd\ufffd\ufffd\ufffdA",
		"日本\xe8":                               "日本\ufffd",
		"valid \U0001f44d":                     "valid \U0001f44d",
		"\xf0\x9f\x91":                         "\ufffd",
		"\xe3\x81\xe3\x81\x82":                 "\ufffdあ",
		strings.Repeat("\xff", 3) + "ok":       "\ufffd\ufffd\ufffdok",
	} {
		if got := lossy([]byte(in)); got != want {
			t.Errorf("% x: got %+q, want %+q", in, got, want)
		}
	}
}

func TestTheByteAlphabetIsGPT2s(t *testing.T) {
	seen := map[rune]bool{}
	for b := range 256 {
		if seen[byteChar[b]] {
			t.Fatalf("byte %d shares its character", b)
		}
		seen[byteChar[b]] = true
	}
	for b, want := range map[byte]rune{'!': '!', '~': '~', ' ': 'Ġ', '\n': 'Ċ', 0: 'Ā', 0x7f: 'ġ', 0xa0: 'ł', 0xa1: '¡', 0xad: 'Ń', 0xff: 'ÿ'} {
		if byteChar[b] != want {
			t.Errorf("byte %#x is %q, want %q", b, byteChar[b], want)
		}
	}
	if got := string(appendUnmapped(nil, mapBytes("é \n"))); got != "é \n" {
		t.Errorf("got %q", got)
	}
	if got := string(appendUnmapped([]byte("x"), "Ġ日")); got != "xĠ日" {
		t.Errorf("a token outside the alphabet became %q", got)
	}
}

func TestNormalization(t *testing.T) {
	marks := strings.Repeat("\u0301", 40)
	tests := map[string]struct {
		form     norm.Form
		in, want string
	}{
		"composition":                           {norm.NFC, "か\u3099 e\u0301", "が é"},
		"compatibility":                         {norm.NFKC, "ﬁ ｶﾞ", "fi ガ"},
		"more than thirty marks gain no joiner": {norm.NFC, "a" + marks + "b", "á" + marks[2:] + "b"},
		"and are put in order":                  {norm.NFC, "a" + marks + "\u0327", "á\u0327" + marks[2:]},
		"decomposition of many marks":           {norm.NFD, "é" + marks, "e\u0301" + marks},
		"a mark newer than the reference stays": {norm.NFC, "a\u0301\u1ac5\u0327", "á\u1ac5\u0327"},
		"so does a newer compatibility letter":  {norm.NFKC, "㋿ﬁ", "㋿fi"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := form(tt.form)(tt.in); got != tt.want {
				t.Errorf("got %+q, want %+q", got, tt.want)
			}
		})
	}
}

func TestAddedTokens(t *testing.T) {
	tests := []struct {
		name, text string
		tok        addedToken
		want       string // pieces by |, tokens as #
	}{
		{"plain", "a <t> b", addedToken{}, "a |#| b"},
		{"lstrip takes the space before", "a \n<t> b", addedToken{LStrip: true}, "a|#| b"},
		{"rstrip takes the space after", "a <t> \n b", addedToken{RStrip: true}, "a |#|b"},
		{"both take all of it", " <t> ", addedToken{LStrip: true, RStrip: true}, "#"},
		{"lstrip stops at the token before", "<t> <t>", addedToken{LStrip: true}, "#|#"},
		{"rstrip leaves nothing to lstrip", "<t> <t>", addedToken{LStrip: true, RStrip: true}, "#|#"},
		{"single word needs no word before", "x<t> <t>", addedToken{SingleWord: true}, "x<t> |#"},
		{"nor after", "<t>_ <t>-", addedToken{SingleWord: true}, "<t>_ |#|-"},
		{"nothing to find", "<t", addedToken{}, "<t"},
		{"empty", "", addedToken{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f finder
			tt.tok.ID = 7
			f.add("<t>", tt.tok)
			var got []string
			f.cut(tt.text, func(s string, _, id int) {
				if id == 7 {
					s = "#"
				}
				got = append(got, s)
			})
			if strings.Join(got, "|") != tt.want {
				t.Errorf("got %q, want %q", strings.Join(got, "|"), tt.want)
			}
		})
	}
}

func TestTheLongestAddedTokenWins(t *testing.T) {
	var f finder
	for id, s := range []string{"<t", "<t>", "<t>>x", "t>"} {
		f.add(s, addedToken{ID: id})
	}
	var got []int
	f.cut("<t>>y<t t>", func(_ string, _, id int) { got = append(got, id) })
	if !slices.Equal(got, []int{1, -1, 0, -1, 3}) {
		t.Errorf("got %v", got)
	}
}

// naive merges as the definition says: again and again the leftmost pair of the
// lowest rank.
func naive(m *bpe, ids []int32) []int32 {
	ids = slices.Clone(ids)
	for {
		best, at := int32(-1), -1
		for i := range len(ids) - 1 {
			if mg, ok := m.merges[pair{ids[i], ids[i+1]}]; ok && (at < 0 || mg.rank < best) {
				best, at = mg.rank, i
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = m.merges[pair{ids[at], ids[at+1]}].into
		ids = slices.Delete(ids, at+1, at+2)
	}
}

func TestMergingFollowsTheDefinition(t *testing.T) {
	f := readFixture(t, "qwen2")
	tok, err := parse(f.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	merged := false
	for _, text := range []string{"the", "hello", "tetesthethe" + strings.Repeat("the", 50), strings.Repeat("tes", 99), "テキスト日本語"} {
		syms := tok.model.symbols(mapBytes(text))
		var ids []int32
		for _, s := range syms {
			ids = append(ids, s.id)
		}
		want := naive(&tok.model, ids)
		got := tok.model.mergeAll(syms)
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
		merged = merged || len(want) < len(ids)
	}
	if !merged {
		t.Error("nothing was merged")
	}
}

// Small vocabularies of every shape: merges that overlap, and a merged token with the id 0.
func TestMergingFollowsTheDefinitionInRandomVocabularies(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		texts := []string{"a", "b", "c"}
		for len(texts) < 9 {
			text := texts[r.IntN(len(texts))] + texts[r.IntN(len(texts))]
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
		m := bpe{vocab: map[string]int32{}, merges: map[pair]merge{}, unk: -1}
		for i, id := range r.Perm(len(texts)) {
			m.vocab[texts[i]] = int32(id)
		}
		for _, left := range texts {
			for _, right := range texts {
				if into, ok := m.vocab[left+right]; ok {
					m.merges[pair{m.vocab[left], m.vocab[right]}] = merge{into: into}
				}
			}
		}
		ranks := r.Perm(len(m.merges))
		pairs := slices.SortedFunc(maps.Keys(m.merges), func(a, b pair) int { return cmp.Or(cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right)) })
		for i, p := range pairs {
			m.merges[p] = merge{rank: int32(ranks[i]), into: m.merges[p].into}
		}
		for range 20 {
			ids := make([]int32, r.IntN(12))
			text := ""
			for i := range ids {
				c := texts[r.IntN(3)]
				ids[i], text = m.vocab[c], text+c
			}
			if got, want := m.mergeAll(m.symbols(text)), naive(&m, slices.Clone(ids)); !slices.Equal(got, want) {
				t.Fatalf("seed %d: %q is merged to %v, want %v; tokens %v, merges %v", seed, text, got, want, m.vocab, m.merges)
			}
		}
	}
}
