package naivebayes

import (
	"math"
	"slices"
	"testing"
)

func TestItLearnsWhichLettersBelongToWhichClass(t *testing.T) {
	texts := []string{"refund my card", "card refund please", "delete the server", "server delete now", "カードの返金", "サーバーを削除"}
	labels := []int{0, 0, 1, 1, 0, 1}
	m := Train(texts, labels, 2)
	for text, want := range map[string]int{"a card refund": 0, "the server": 1, "返金してほしい": 0, "削除してほしい": 1} {
		if got := m.Predict(text); got != want {
			t.Errorf("%q: class %d, want %d", text, got, want)
		}
	}
}

func TestAnUnseenTextGetsTheMajorityClass(t *testing.T) {
	m := Train([]string{"aaa", "bbb", "bbc"}, []int{0, 1, 1}, 2)
	if got := m.Predict("zzzz"); got != 1 {
		t.Errorf("class %d, want 1", got)
	}
}

func TestProbabilitiesAreThoseOfAddOneSmoothing(t *testing.T) {
	// "ab" has the n-gram ab; "abc" has ab, bc and abc. Two classes, three n-grams, counted by hand.
	m := Train([]string{"ab", "abc", "abc"}, []int{0, 1, 1}, 2)
	prior := [2]float64{math.Log(2.0 / 5), math.Log(3.0 / 5)}
	for text, want := range map[string][2]float64{
		"":     prior,
		"xyz":  prior, // nothing that training saw
		"ab":   {prior[0] + math.Log(2.0/4), prior[1] + math.Log(3.0/9)},
		"xbc":  {prior[0] + math.Log(1.0/4), prior[1] + math.Log(3.0/9)},
		"abc":  {prior[0] + math.Log(2.0/4*1/4*1/4), prior[1] + math.Log(3.0/9*3/9*3/9)},
		"abab": {prior[0] + 2*math.Log(2.0/4), prior[1] + 2*math.Log(3.0/9)},
	} {
		got := m.scores(text)
		if math.Abs(got[0]-want[0]) > 1e-12 || math.Abs(got[1]-want[1]) > 1e-12 {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestNGramsAreOfTwoToFourCharacters(t *testing.T) {
	var got []string
	grams("Abcde", func(g string) { got = append(got, g) })
	if want := []string{"ab", "bc", "cd", "de", "abc", "bcd", "cde", "abcd", "bcde"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestOfEquallyProbableClassesTheFirstIsGiven(t *testing.T) {
	m := Train([]string{"ab", "ab"}, []int{0, 1}, 2)
	if got := m.Predict("ab"); got != 0 {
		t.Errorf("class %d, want 0", got)
	}
}
