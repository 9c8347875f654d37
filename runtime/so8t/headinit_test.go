package so8t

import (
	"context"
	"math"
	"testing"

	"triality/runtime/device/reference"
	"triality/runtime/generate"
	"triality/runtime/model"
)

func TestHeadsFromWordsSayWhatTheWordsSay(t *testing.T) {
	dev := reference.New()
	m := turned(t, "llama", 0.1)
	words := [4]int32{3, 5, 7, 9}
	if err := m.HeadsFromWords(words); err != nil {
		t.Fatal(err)
	}
	params, err := m.Upload(dev, model.Storage{})
	if err != nil {
		t.Fatal(err)
	}
	prompt := []int32{1, 2, 8, 4}
	e, err := generate.New(dev, m.Source, params, Hooks())
	if err != nil {
		t.Fatal(err)
	}
	logits, err := e.Logits(prompt)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewClassifier(dev, m.Source, params).Classify(context.Background(), prompt)
	if err != nil {
		t.Fatal(err)
	}
	last := logits[len(logits)-1]
	l := func(c Class) float64 { return float64(last[words[c]]) }
	// A head's odds are the difference of its rows' logits.
	safe := (l(Allow) + l(Escalation) - l(Deny) - l(Refuse)) / 2
	handle := (l(Allow) + l(Deny) - l(Escalation) - l(Refuse)) / 2
	for name, pair := range map[string][2]float64{
		"safety":    {math.Log(v.Safety[0] / v.Safety[1]), safe},
		"authority": {math.Log(v.Authority[0] / v.Authority[1]), handle},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-5*(1+math.Abs(pair[1])) {
			t.Errorf("%s: log odds %v, want %v", name, pair[0], pair[1])
		}
	}
}

func TestHeadsFromWordsRefusesATokenOutsideTheVocabulary(t *testing.T) {
	if err := turned(t, "llama", 0.1).HeadsFromWords([4]int32{0, 1, 2, 1 << 20}); err == nil {
		t.Fatal("no error")
	}
}
