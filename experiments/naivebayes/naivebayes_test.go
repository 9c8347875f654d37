package naivebayes

import "testing"

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
