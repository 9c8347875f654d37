package dataset

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// bruteForce is NearDuplicates by its definition: every pair, sets of strings.
func bruteForce(texts []string) map[[2]int]float64 {
	sets := make([]map[string]bool, len(texts))
	for i, t := range texts {
		sets[i] = map[string]bool{}
		r := []rune(strings.Join(strings.Fields(strings.ToLower(t)), " "))
		if len(r) <= 5 {
			sets[i][string(r)] = true
		}
		for k := 0; len(r) > 5 && k+5 <= len(r); k++ {
			sets[i][string(r[k:k+5])] = true
		}
	}
	out := map[[2]int]float64{}
	for i := range texts {
		for j := i + 1; j < len(texts); j++ {
			common := 0
			for s := range sets[i] {
				if sets[j][s] {
					common++
				}
			}
			if s := float64(common) / float64(len(sets[i])+len(sets[j])-common); s >= 0.7 {
				out[[2]int{i, j}] = s
			}
		}
	}
	return out
}

// randomTexts gives texts of random words; a third are earlier ones with a few words changed.
func randomTexts(rng *rand.Rand, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		words := make([]string, 12+rng.IntN(20))
		for w := range words {
			words[w] = fmt.Sprintf("w%03d", rng.IntN(400))
		}
		if i > 0 && rng.IntN(3) == 0 {
			words = strings.Fields(texts[rng.IntN(i)])
			for range rng.IntN(4) {
				words[rng.IntN(len(words))] = fmt.Sprintf("v%03d", rng.IntN(400))
			}
		}
		texts[i] = strings.Join(words, " ")
	}
	return texts
}

func TestNearDuplicatesAreThoseOfBruteForce(t *testing.T) {
	found, missed := 0, 0
	for seed := range uint64(4) {
		texts := randomTexts(rand.New(rand.NewPCG(seed, 1)), 120)
		want := bruteForce(texts)
		for _, p := range NearDuplicates(texts) {
			s, ok := want[[2]int{p.I, p.J}]
			if !ok {
				t.Errorf("seed %d: %d and %d are no near-duplicates: %q %q", seed, p.I, p.J, texts[p.I], texts[p.J])
			} else if p.Similarity != s {
				t.Errorf("seed %d: similarity of %d and %d is %v, want %v", seed, p.I, p.J, p.Similarity, s)
			}
			delete(want, [2]int{p.I, p.J})
			found++
		}
		missed += len(want)
	}
	// 20 bands of 4 rows miss a pair of similarity 0.7 with probability 0.004, a likelier one less often.
	if found < 100 || missed > found/100 {
		t.Errorf("%d pairs found, %d missed", found, missed)
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
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pairs := NearDuplicates([]string{tt.a, "something quite different is said in between here", tt.b})
			if got := len(pairs) == 1 && pairs[0].I == 0 && pairs[0].J == 2; got != tt.want || len(pairs) > 1 {
				t.Errorf("pairs %v, want %v", pairs, tt.want)
			}
		})
	}
}

func TestOneTextRepeatedManyTimesIsJoinedWithoutComparingAllPairs(t *testing.T) {
	texts := make([]string, 2000)
	for i := range texts {
		texts[i] = "the same sentence again and again"
	}
	pairs := NearDuplicates(texts)
	if len(pairs) > 16*len(texts) {
		t.Errorf("%d pairs", len(pairs))
	}
	rows := make([]Row, len(texts))
	for i := range rows {
		rows[i] = Row{Input: texts[i], Label: "DENY", Group: fmt.Sprint(i)}
	}
	if got := len(clusters(rows, pairs)); got != 1 {
		t.Errorf("%d clusters, want 1", got)
	}
}
