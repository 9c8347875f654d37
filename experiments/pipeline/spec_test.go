package pipeline

import (
	"reflect"
	"strings"
	"testing"
)

// The text that is kept with a run reads to what ran.
func TestTheTextOfASpecReadsToTheSame(t *testing.T) {
	const flat = "# mine\nname: x\ndata: {input_path: a}\nmodel: {base_model: b}\n"
	const book = "---\ntitle: Ranks\n---\n\nProse.\n\n```triality convert id=rows\ndata:\n  input_path: rows.jsonl\n```\n"
	for name, tt := range map[string]struct{ text, override string }{
		"a pipeline": {flat, "seed=9"}, "a graph": {pair, "rows.seed=9"}, "a notebook": {book, "rows.seed=9"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ParseSpec("x", []byte(tt.text))
			if err != nil || s.Text != tt.text {
				t.Fatalf("%q, %v", s.Text, err)
			}
			changed, err := ParseSpec("x", []byte(tt.text), tt.override)
			if err != nil || changed.Text == tt.text || !strings.Contains(changed.Text, "seed: 9") {
				t.Fatalf("%q, %v", changed.Text, err)
			}
			again, err := ParseSpec("x", []byte(changed.Text))
			if err != nil || !reflect.DeepEqual(again.Params(), changed.Params()) || reflect.DeepEqual(again.Params(), s.Params()) {
				t.Errorf("%v, %v, %v", again.Params(), changed.Params(), err)
			}
			for _, override := range []string{"no_such_key=1", "rows.no_such_key=1"} {
				if _, err := ParseSpec("x", []byte(tt.text), override); err == nil {
					t.Errorf("%s is taken", override)
				}
			}
		})
	}
}
