package config

import (
	"slices"
	"strings"
	"testing"
)

func TestKeysOfOtherTrainersAreAnsweredWithWhatToDo(t *testing.T) {
	keys := Keys()
	for name, text := range borrowed {
		if slices.Contains(keys, "training."+name) { // another section may have one
			t.Errorf("%s is a key of ours and cannot be borrowed", name)
		}
		_, err := Parse("x.yaml", []byte("data: {input_path: a}\nmodel: {base_model: b}\ntraining:\n  "+name+": 1\n"))
		if err == nil || !strings.Contains(err.Error(), "x.yaml:4: training."+name+": unknown key; "+text) {
			t.Errorf("%s: %v", name, err)
		}
		// What an answer names is there.
		for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return strings.ContainsRune(" ,;:`", r) }) {
			section, _ := split(word)
			if slices.Contains([]string{"training", "data", "model", "test"}, section) && !slices.Contains(keys, word) {
				t.Errorf("%s: the answer names %s, which is no key", name, word)
			}
		}
	}
}

func TestNearestFindsWhatWasMeant(t *testing.T) {
	known := []string{"info", "init", "merge", "verify"}
	for word, want := range map[string]string{"inti": "init", "inof": "info", "mereg": "merge", "verfy": "verify", "export": "", "": ""} {
		got, ok := Nearest(word, known)
		if got != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %t, want %q", word, got, ok, want)
		}
	}
}

func TestNearestIsTheLeastChangeAndOfEqualOnesTheFirst(t *testing.T) {
	for word, known := range map[string][]string{
		"verifies": {"verify", "verified", "verifier"}, // three letters, one, one
		"merge":    {"merged", "merge", "serge"},
	} {
		if got, ok := Nearest(word, known); !ok || got != known[1] {
			t.Errorf("Nearest(%q) = %q, %t, want %q", word, got, ok, known[1])
		}
	}
}
