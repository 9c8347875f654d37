package dataset

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/runtime/hfdataset"
)

func TestHalfACharacterIsFoundWhereverItStands(t *testing.T) {
	for raw, want := range map[string]string{
		`"\ud83d\ude00"`: "", `"\ud800\udc00"`: "", `"\udbff\udfff"`: "", `"\ue000"`: "", `"\ud7ff"`: "", `"\\ud800"`: "",
		`"\ud83d"`: `\ud83d`, `"a\ude00"`: `\ude00`, `"\ud83d\ud83d\ude00"`: `\ud83d`, `"\udc00\udc00"`: `\udc00`, `"\ud800\\"`: `\ud800`, `\udfff`: `\udfff`,
	} {
		if got, found := loneSurrogate([]byte(raw)); got != want || found != (want != "") {
			t.Errorf("%s: %s, %v", raw, got, found)
		}
	}
}

func TestAnOutputNamesAClassByAWordOfItsOwn(t *testing.T) {
	for _, tt := range []struct{ output, label, want string }{
		{"ZDENY", "ALLOW", ""}, {"ADENY", "ALLOW", ""}, {"zDENY", "ALLOW", ""}, {"aDENY", "ALLOW", ""}, {"x DENY", "ALLOW", "DENY"},
		{"ALLOW, not DENY", "ALLOW", ""}, {"DENY rather than ALLOW", "ALLOW", "DENY"}, {"It is DENY, not ALLOW", "ALLOW", ""},
		{"ALLOW rather than DENY", "DENY", "ALLOW"}, {"It is ALLOW", "ALLOW", ""}, {"It is ALLOW, not DENY", "ALLOW", ""},
	} {
		if got := contradicted(&Row{Output: tt.output, Label: tt.label}); got != tt.want {
			t.Errorf("%q of a row that is %s names %q, want %q", tt.output, tt.label, got, tt.want)
		}
	}
}

func TestOfManyFindingsTenAreNamed(t *testing.T) {
	for n, want := range map[int]int{listed: listed, listed + 2: listed} {
		var rows []Row
		for i := range n {
			text := fmt.Sprint("text ", i)
			rows = append(rows, Row{Input: text, Label: "ALLOW"}, Row{Input: text, Label: "DENY", Output: "ALLOW."})
		}
		f := look(rows)
		if f.contradictions != n || f.mismatches != n || len(f.said) != 2*(1+want) {
			t.Errorf("%d of each: %d, %d, %d sentences", n, f.contradictions, f.mismatches, len(f.said))
		}
	}
}

func TestOfManyBadLinesTwentyAreTold(t *testing.T) {
	for n, last := range map[int]string{20: "skipped line 19", 23: "skipped 3 lines more"} {
		rs := Rows{Skipped: n}
		for i := range n {
			rs.Problems = append(rs.Problems, fmt.Sprint("line ", i))
		}
		var told told
		rs.tell(&told)
		if want := 20 + min(1, n-20); len(told.notes) != want || told.notes[len(told.notes)-1] != last {
			t.Errorf("%d lines: %d notes, the last is %s", n, len(told.notes), told.notes[len(told.notes)-1])
		}
	}
}

// told is a Teller that keeps what it is told.
type told struct{ notes []string }

func (*told) Progress(experiments.Progress) {}
func (n *told) Note(text string)            { n.notes = append(n.notes, text) }

func TestATextIsClippedBeyondSixtyCharacters(t *testing.T) {
	if s := strings.Repeat("é", 60); clip(s) != s || clip(s+"é") != s+"…" {
		t.Errorf("%s, %s", clip(s), clip(s+"é"))
	}
}

func TestALargeConversionCollectsEarlyUntilTheLastOneEnds(t *testing.T) {
	percent := func() int {
		v := debug.SetGCPercent(100)
		debug.SetGCPercent(v)
		return v
	}
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	small := thrifty(largeRows - 1)
	if got := percent(); got != 70 {
		t.Errorf("small rows: %d", got)
	}
	small()
	first, second := thrifty(largeRows), thrifty(largeRows)
	if got := percent(); got != gcPercent {
		t.Errorf("large rows: %d", got)
	}
	first()
	if got := percent(); got != gcPercent {
		t.Errorf("while one runs: %d", got)
	}
	second()
	if got := percent(); got != 70 {
		t.Errorf("after both: %d", got)
	}
	for before, want := range map[int]int{gcPercent - 1: gcPercent - 1, 0: 0, -1: gcPercent} { // -1: off
		debug.SetGCPercent(before)
		done := thrifty(largeRows)
		if got := percent(); got != want {
			t.Errorf("with %d before: %d, want %d", before, got, want)
		}
		if done(); percent() != before {
			t.Errorf("with %d before: %d after", before, percent())
		}
	}
}

func TestFilesSizesAddUp(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(a, make([]byte, 5), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := sizes([]string{a, b, filepath.Join(dir, "gone")}); n != 5 {
		t.Errorf("%d bytes", n)
	}
	if text, err := ReadText(b); err != nil || len(text) != 0 {
		t.Errorf("an empty file: %q, %v", text, err)
	}
}

// Seven of ten 5-grams in common is just near.
func TestRowsAreCountedByGroupAndByTextAtTheVeryBorder(t *testing.T) {
	const ten, seven = "abcdefghijklmn", "abcdefghijk"
	train := []*Row{{Group: "g", Input: ten}}
	held := []*Row{{Group: "g", Input: "something else"}, {Group: "h", Input: seven}, {Group: "g", Input: seven}, {Input: "another thing"}, {Group: "i", Input: "abcdefghij"}}
	o, err := Compare(context.Background(), train, held, nil)
	if err != nil || o.Group != 2 || o.Near != 2 || o.Either != 3 || o.Unproven != 0 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestShinglesAreThoseOfTheFoldedText(t *testing.T) {
	var s shingler
	of := func(text string) []uint64 { return slices.Clone(s.of(text)) }
	for a, b := range map[string]string{"ABCXYZ abc": "abcxyz abc", "  a \t b\nc d ": "a b c d", "ÄÖÜÉÑ Ω": "äöüéñ ω", "[abc]@{`": "[abc]@{`"} {
		if !slices.Equal(of(a), of(b)) {
			t.Errorf("%q and %q differ", a, b)
		}
	}
	for _, pair := range [][2]string{{"ab", "cb"}, {"ab", "ba"}, {"a", "aa"}, {"abcde", "abcdf"}, {"@bcdef", "`bcdef"}, {"[bcdef", "{bcdef"}} {
		if slices.Equal(of(pair[0]), of(pair[1])) {
			t.Errorf("%q and %q are alike", pair[0], pair[1])
		}
	}
	if slices.Contains(of("abcdef"), of("abcde")[0]) {
		t.Error("a short text is a piece of a longer one")
	}
	text := strings.Repeat("abracadabra in a barn, ", 20)
	hashes, pieces := map[string]uint64{}, map[uint64]string{}
	for i, h := range of(text + "!") {
		piece := (text + "!")[i : i+shingle]
		if before, ok := hashes[piece]; ok && before != h {
			t.Fatalf("%q has two hashes", piece)
		}
		if before, ok := pieces[h]; ok && before != piece {
			t.Fatalf("%q and %q have one hash", piece, before)
		}
		hashes[piece], pieces[h] = h, piece
	}
}

func TestSignaturesDifferByTheirBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, words := range []int{16, 32} {
		a, b := make([]uint64, words), make([]uint64, words)
		d := 0
		for i := range a {
			a[i], b[i] = rng.Uint64(), rng.Uint64()
			d += bits.OnesCount64(a[i] ^ b[i])
		}
		if !within(a, b, d) || within(a, b, d-1) {
			t.Errorf("%d words, %d bits: within %v, within one less %v", words, d, within(a, b, d), within(a, b, d-1))
		}
	}
	for _, tt := range []struct{ size, sets, want int }{
		{1, 1, 16}, {256, 1, 16}, {257, 1, 32}, {512, 1, 32}, {513, 1, 64}, {1 << 20, 1 << 18, 32}, {1 << 20, 1<<18 + 1, 16},
	} {
		if got := signatureWords(tt.size, tt.sets); got != tt.want {
			t.Errorf("%+v: %d words", tt, got)
		}
	}
}

func TestTruthAndNumbersOfFurtherFieldsComeBack(t *testing.T) {
	rows := []*Row{
		{Extra: []Field{{"b", Value{Bool, "true"}}, {"x", Value{Float, "0.1234567890123"}}}},
		{Extra: []Field{{"b", Value{Bool, "false"}}, {"x", Value{Float, "2.5"}}}},
	}
	for _, c := range []extraColumn{{name: "b", field: "b", kind: hfdataset.Bool}, {name: "x", field: "x", kind: hfdataset.Float64}} {
		stored := c.values(rows)
		for i, r := range rows {
			want, _ := r.Get(c.field)
			if got := valueAt(&stored, i); got != want {
				t.Errorf("%s of row %d: %+v, want %+v", c.name, i, got, want)
			}
		}
	}
}

func TestASummaryCountsLanguagesAndDomains(t *testing.T) {
	p := &Prepared{}
	p.Rows.Rows = []Row{{Language: "en", Domain: "a", Label: "ALLOW"}, {Language: "en", Domain: "a", Label: "ALLOW"}, {Language: "ja", Domain: "b", Label: "DENY"}}
	s := p.summary(Options{})
	if s.Languages["en"] != 2 || s.Languages["ja"] != 1 || s.Domains["a"]["ALLOW"] != 2 || s.Domains["b"]["DENY"] != 1 {
		t.Errorf("%v, %v", s.Languages, s.Domains)
	}
}
