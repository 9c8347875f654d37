package dataset

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// jaccard is the similarity of two texts by its definition, on sets of strings.
func jaccard(a, b string) float64 {
	of := func(text string) map[string]bool {
		set := map[string]bool{}
		r := []rune(strings.Join(strings.Fields(strings.ToLower(text)), " "))
		if len(r) <= 5 {
			set[string(r)] = true
		}
		for k := 0; len(r) > 5 && k+5 <= len(r); k++ {
			set[string(r[k:k+5])] = true
		}
		return set
	}
	x, y := of(a), of(b)
	common := 0
	for s := range x {
		if y[s] {
			common++
		}
	}
	return float64(common) / float64(len(x)+len(y)-common)
}

// labels gives each text the least index of its component.
func labels(n int, pairs []Pair) []int {
	f := newForest(n)
	for _, p := range pairs {
		f.join(p.I, p.J)
	}
	f.settle()
	return f.root
}

// bruteForce is NearDuplicates by its definition: every pair of texts that are not of one group.
func bruteForce(texts, groups []string) []Pair {
	var out []Pair
	for i := range texts {
		for j := i + 1; j < len(texts); j++ {
			if (groups == nil || groups[i] == "" || groups[i] != groups[j]) && jaccard(texts[i], texts[j]) >= 0.7 {
				out = append(out, Pair{i, j})
			}
		}
	}
	return out
}

func nearDuplicates(t testing.TB, texts, groups []string) Near {
	t.Helper()
	near, err := NearDuplicates(context.Background(), texts, groups, nil)
	if err != nil {
		t.Fatal(err)
	}
	return near
}

// randomTexts gives texts of random words; a third are earlier ones with a few words changed.
func randomTexts(rng *rand.Rand, n, vocabulary int) []string {
	texts := make([]string, n)
	for i := range texts {
		words := make([]string, 1+rng.IntN(30))
		for w := range words {
			words[w] = fmt.Sprintf("w%03d", rng.IntN(vocabulary))
		}
		if i > 0 && rng.IntN(3) == 0 {
			words = strings.Fields(texts[rng.IntN(i)])
			for range rng.IntN(4) {
				words[rng.IntN(len(words))] = fmt.Sprintf("v%03d", rng.IntN(vocabulary))
			}
		}
		texts[i] = strings.Join(words, " ")
	}
	return texts
}

func TestNearDuplicatesAreThoseOfBruteForce(t *testing.T) {
	joined := 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 1))
		texts := randomTexts(rng, 90, []int{400, 40, 8, 3}[seed%4])
		var groups []string
		if seed%3 > 0 {
			for range texts {
				groups = append(groups, []string{"", "a", "b", "c", "d"}[rng.IntN(2+int(seed)%4)])
			}
		}
		want := labels(len(texts), bruteForce(texts, groups))
		got := nearDuplicates(t, texts, groups)
		if have := labels(len(texts), got.Pairs); !slices.Equal(have, want) {
			t.Errorf("seed %d: joined %v, want %v", seed, have, want)
		}
		distinct := map[int]bool{}
		for _, root := range want {
			distinct[root] = true
		}
		if len(got.Pairs) != len(texts)-len(distinct) || got.Unproven != 0 {
			t.Errorf("seed %d: %d pairs and %d unproven, want %d and none", seed, len(got.Pairs), got.Unproven, len(texts)-len(distinct))
		}
		joined += len(got.Pairs)
	}
	if joined < 500 {
		t.Errorf("%d rows joined: the corpora test nothing", joined)
	}
}

// template makes rows about 0.65 alike: two thirds of a row are the template's words, in its order, and the
// rest the row's own, from a small vocabulary.
func template(rng *rand.Rand, n int) []string {
	word := func(kind, of int) string {
		r := rand.New(rand.NewPCG(uint64(kind), uint64(of)))
		b := make([]byte, 4+r.IntN(6))
		for i := range b {
			b[i] = byte('a' + r.IntN(26))
		}
		return string(b)
	}
	texts := make([]string, n)
	for i := range texts {
		var words []string
		for p := range 30 {
			words = append(words, word(1, p))
		}
		for range 6 { // own words, together so that they break few of the template's 5-grams
			words = append(words, word(2, rng.IntN(300)))
		}
		for p := range 20 {
			words = append(words, word(3, p))
		}
		for range 7 {
			words = append(words, word(2, rng.IntN(300)))
		}
		texts[i] = strings.Join(words, " ")
	}
	return texts
}

// vary changes characters at the end of a text until the two are between low and high alike.
func vary(t testing.TB, rng *rand.Rand, text string, low, high float64) string {
	t.Helper()
	for range 1000 {
		changed := text
		for k := 0; k < 60; k++ {
			r := []rune(changed)
			r[rng.IntN(len(r))] = rune('0' + rng.IntN(10))
			changed = string(r)
			if s := jaccard(text, changed); s < low {
				break
			} else if s <= high {
				return changed
			}
		}
	}
	t.Fatal("no variation is so alike")
	return ""
}

func TestEveryPlantedPairAmongTemplatedRowsIsFound(t *testing.T) {
	for n, seeds := range map[int]uint64{600: 5, 2000: 2} {
		for seed := range seeds {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			texts := template(rng, n)
			var planted []Pair
			for k := range 20 {
				at := rng.IntN(n)
				texts = append(texts, vary(t, rng, texts[at], 0.71, 0.75))
				planted = append(planted, Pair{at, n + k})
			}
			all, alike := 0, 0.0
			for range 300 {
				i, j := rng.IntN(n), rng.IntN(n)
				if i != j {
					all, alike = all+1, alike+jaccard(texts[i], texts[j])
				}
			}
			if mean := alike / float64(all); mean < 0.55 || mean > 0.7 {
				t.Fatalf("unrelated rows are %.3f alike", mean)
			}
			near := nearDuplicates(t, texts, nil)
			root := labels(len(texts), near.Pairs)
			missed := 0
			for _, p := range planted {
				if root[p.I] != root[p.J] {
					missed++
				}
			}
			if missed > 0 || near.Unproven > 0 {
				t.Errorf("%d rows, seed %d: %d of 20 planted pairs missed, %d unproven", n, seed, missed, near.Unproven)
			}
			// Nothing is joined that is not near one of those it is joined to.
			for _, p := range near.Pairs {
				if jaccard(texts[p.I], texts[p.J]) < 0.7 {
					t.Errorf("%d rows, seed %d: %d and %d are %.3f alike", n, seed, p.I, p.J, jaccard(texts[p.I], texts[p.J]))
				}
			}
		}
	}
}

func TestPlantedNearDuplicatesAreFound(t *testing.T) {
	const text = "Please tell me how to reset the password of my work account before Monday."
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"the same text", text, text, true},
		{"other case and white space", text, " PLEASE  tell me\thow to reset the password of my work\naccount before Monday. ", true},
		{"one word changed", text, strings.Replace(text, "Monday", "Friday", 1), true},
		{"one character of Japanese changed", "明日の会議の資料を印刷して各部署に配布しておいてください", "明日の会議の資料を印刷して各部署に配布しておいて下さい", true},
		{"another request", text, "Draw up a list of the suppliers that deliver on Sundays.", false},
		{"two texts shorter than a shingle", "yes", "yes", true},
		{"two different short texts", "yes", "no", false},
		{"a short text inside a long one", "Please", text, false},
		{"texts of one shingle set in another order", "abcdeabcdeabcde", "abcdeabcdeabcdeabcde", true},
		{"letters whose lower case is another letter", strings.Replace(text, "work", "ÉCOLE İZMİR", 1), strings.Replace(text, "work", "école İZMİR", 1), true},
		{"empty texts", "", " \n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pairs := nearDuplicates(t, []string{tt.a, "something quite different is said in between here", tt.b}, nil).Pairs
			if got := len(pairs) == 1 && pairs[0] == (Pair{0, 2}); got != tt.want || len(pairs) > 1 {
				t.Errorf("pairs %v, want %v", pairs, tt.want)
			}
		})
	}
	if near := nearDuplicates(t, nil, nil); len(near.Pairs) != 0 {
		t.Errorf("no texts have the pairs %v", near.Pairs)
	}
}

func TestOneTextRepeatedManyTimesIsOneClusterOfFewPairs(t *testing.T) {
	const n = 50_000
	texts, groups, one := make([]string, n), make([]string, n), make([]string, n)
	for i := range texts {
		texts[i], groups[i], one[i] = "the same sentence again and again", fmt.Sprint(i), "all"
	}
	if got := len(nearDuplicates(t, texts, groups).Pairs); got != n-1 {
		t.Errorf("%d pairs join %d rows of as many groups", got, n)
	}
	if got := len(nearDuplicates(t, texts, one).Pairs); got != 0 {
		t.Errorf("%d pairs inside one group", got)
	}
}

func TestTooManyNearMissesAreJoinedUnproven(t *testing.T) {
	// Variations of one text that is not among them: most pairs are a little under 0.7 alike.
	rng := rand.New(rand.NewPCG(1, 2))
	base, texts := template(rng, 1)[0], make([]string, 60)
	for i := range texts {
		texts[i] = vary(t, rng, base, 0.795, 0.81)
	}
	want := labels(len(texts), bruteForce(texts, nil))
	for _, budget := range []int{0, 3, 1000} {
		near, err := nearWithin(context.Background(), texts, nil, nil, func(int) int { return budget })
		if err != nil {
			t.Fatal(err)
		}
		got := labels(len(texts), near.Pairs)
		for i := range want {
			if got[i] != got[want[i]] {
				t.Errorf("budget %d: %d and %d are apart", budget, i, want[i])
			}
		}
		if exact := slices.Equal(got, want); exact != (near.Unproven == 0) || exact != (budget == 1000) || near.Unproven < 0 || near.Unproven > len(near.Pairs) {
			t.Errorf("budget %d: exact %v with %d unproven; wanted %v", budget, exact, near.Unproven, want)
		}
	}
	for n, want := range map[int]int{1: 400_000_000, 20_000: 20_000, 100_000: 4000, 1_000_000: 2000} {
		if got := budgetOf(n); got != want {
			t.Errorf("%d classes have %d comparisons in vain, want %d", n, got, want)
		}
	}
}

func TestAJoinSettlesOnceForABlockThatFoundPairs(t *testing.T) {
	for _, tt := range []struct {
		texts []string
		want  int
	}{
		{[]string{"the first of two texts", "another one altogether"}, 0},
		{[]string{"please delete the old server today", "please delete the old server today!", "the weather is fine in the mountains", "the weather is fine in the mountains!"}, 1},
	} {
		c, err := newCorpus(context.Background(), tt.texts, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		settled := 0
		j := joiner{corpus: c, budget: 10, wanted: func(x, y int) bool { return true }, found: func(x, y int) {},
			hub: func(y int) int { return y }, settle: func() { settled++ }}
		if err := j.run(context.Background(), func(int) {}); err != nil || settled != tt.want {
			t.Errorf("%q: settled %d times, %v; want %d", tt.texts, settled, err, tt.want)
		}
	}
}

func TestNearDuplicatesDoNotDependOnTheGoroutinesAndStopWhenAsked(t *testing.T) {
	texts := template(rand.New(rand.NewPCG(5, 5)), 700)
	first := nearDuplicates(t, texts, nil).Pairs
	for range 3 {
		if !slices.Equal(nearDuplicates(t, texts, nil).Pairs, first) {
			t.Fatal("other pairs")
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	at := map[int]bool{}
	_, err := NearDuplicates(ctx, texts, nil, func(n int) {
		at[n] = true
		cancel()
	})
	if !errors.Is(err, context.Canceled) || len(at) == 0 || len(at) > 3 {
		t.Errorf("error %v after %v", err, slices.Sorted(maps.Keys(at)))
	}
}

// BenchmarkNearDuplicates has the corpora that cost most: n log n is the random one alone.
func BenchmarkNearDuplicates(b *testing.B) {
	same := func(_ *rand.Rand, n int) []string {
		return slices.Repeat([]string{"the same sentence again and again"}, n)
	}
	random := func(rng *rand.Rand, n int) []string { return randomTexts(rng, n, 20_000) }
	for _, c := range []struct {
		name string
		make func(*rand.Rand, int) []string
		n    []int
	}{{"equal", same, []int{50_000, 200_000}}, {"random", random, []int{50_000, 200_000}}, {"templated", template, []int{2_000, 20_000, 50_000}}} {
		for _, n := range c.n {
			b.Run(fmt.Sprintf("%s-%d", c.name, n), func(b *testing.B) {
				texts := c.make(rand.New(rand.NewPCG(1, 1)), n)
				for b.Loop() {
					near := nearDuplicates(b, texts, nil)
					b.ReportMetric(float64(len(near.Pairs)), "joined")
					b.ReportMetric(float64(near.Unproven), "unproven")
				}
			})
		}
	}
}

func TestOnlyPairsOfDifferentGroupsAreLookedFor(t *testing.T) {
	texts := []string{"please delete the old server today", "please delete the old server today!", // of one group, the first
		"the weather is fine in the mountains", "the weather is fine in the mountains!", // of two
		"buy a ticket for the evening train", "buy a ticket for the evening train!"} // of one and of none
	near := nearDuplicates(t, texts, []string{"a", "a", "b", "c", "d", ""})
	slices.SortFunc(near.Pairs, func(a, b Pair) int { return a.I - b.I })
	if want := []Pair{{2, 3}, {4, 5}}; !slices.Equal(near.Pairs, want) {
		t.Errorf("%v, want %v", near.Pairs, want)
	}
}

func TestProgressCountsTheTextsInThreePasses(t *testing.T) {
	var texts []string
	for i := range 300 {
		texts = append(texts, fmt.Sprintf("text number %d of its own: %x", i/2, i/2*7919)) // each twice: fewer classes than texts
	}
	last := 0
	_, err := NearDuplicates(context.Background(), texts, nil, func(n int) {
		if n < last || n > 3*len(texts) {
			t.Errorf("%d after %d, of %d", n, last, 3*len(texts))
		}
		last = n
	})
	if err != nil || last != 3*len(texts) {
		t.Errorf("%d of %d, %v", last, 3*len(texts), err)
	}
}
