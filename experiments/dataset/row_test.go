package dataset

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"triality/experiments"
)

const goodLine = `{"instruction":"Classify.","input":"May I?","output":"ALLOW","four_class_label":"ALLOW","source_sample":"s1"}`

func TestABadRowIsRefusedWithItsFieldAndTheMend(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"text that is no JSON", `ALLOW, hello`, "is not a JSON object"},
		{"JSON that is cut short", goodLine[:40], "is not a JSON object"},
		{"two objects in one line", goodLine + goodLine, "is not a JSON object"},
		{"a list", `[1]`, "is not a JSON object"},
		{"null", `null`, "it is null"},
		{"bytes that are not UTF-8", "{\"input\":\"\xff\"}", "save the file as UTF-8"},
		{"no label", `{"input":"a","output":"b"}`, "four_class_label: is missing; it must be one of ALLOW, ESCALATION, DENY, REFUSE"},
		{"a label that is null", `{"input":"a","output":"b","four_class_label":null}`, "four_class_label: is missing"},
		{"an unknown label", `{"input":"a","output":"b","four_class_label":"MAYBE"}`, `four_class_label: unknown label "MAYBE"; it must be one of ALLOW`},
		{"a label in lower case", `{"input":"a","output":"b","four_class_label":"allow"}`, `unknown label "allow"`},
		{"a label that is a number", `{"input":"a","output":"b","four_class_label":1}`, "four_class_label: want text, have 1"},
		{"an input that is a list", `{"input":["a"],"output":"b","four_class_label":"DENY"}`, `input: want text, have ["a"]`},
		{"two wrong fields, of which the first by name is named", `{"output":2,"input":1,"four_class_label":"DENY"}`, "input: want text, have 1"},
		{"a long wrong value, of which the start is shown", `{"input":[` + strings.Repeat("1,", 100) + `1],"four_class_label":"DENY"}`, "…"},
		{"neither instruction nor input", `{"instruction":" ","output":"b","four_class_label":"DENY"}`, "instruction, input: both are empty"},
		{"a field that is given twice", `{"input":"a","input":"b","output":"c","four_class_label":"DENY"}`, "input: is given twice"},
		{"half a character", `{"input":"a\ud800","output":"b","four_class_label":"DENY"}`, `input: \ud800 is half of a character`},
		{"the other half", `{"input":"a","output":"\uDC00b","four_class_label":"DENY"}`, `output: \uDC00 is half of a character`},
		{"two first halves", `{"input":"a\ud83d\ud83d\ude00","output":"b","four_class_label":"DENY"}`, `input: \ud83d is half of a character`},
		{"half a character in a further field", `{"input":"a","output":"b","four_class_label":"DENY","x":{"y":["\udfff"]}}`, `x: \udfff is half of a character`},
		{"half a character in a name", `{"input":"a","output":"b","four_class_label":"DENY","x\ud800":1}`, `\ud800 is half of a character`},
		{"a wrong value that would move what is seen", "{\"input\":[\"a\u202eb\"],\"output\":\"b\",\"four_class_label\":\"DENY\"}", `\u202e`},
		{"no answer", `{"input":"a","output":" \n","four_class_label":"DENY"}`, "output: is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 8 { // a message must not depend on the order of a map
				_, err := ParseRow([]byte(tt.line))
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("error %v, want one with %q", err, tt.want)
				}
			}
		})
	}
}

func TestARowKeepsEveryField(t *testing.T) {
	r, err := ParseRow([]byte(`{"instruction":"i","input":"n","output":"o","four_class_label":"REFUSE","domain_label":"d","safety_label":"s",` +
		`"thinking_format":"t","source_sample":"g","language":"fr","style":"plain","score":0.5,"tags":["a","b"],"none":null}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Instruction != "i" || r.Input != "n" || r.Output != "o" || r.Label != "REFUSE" || r.Domain != "d" || r.Safety != "s" || r.Thinking != "t" || r.Group != "g" || r.Language != "fr" {
		t.Errorf("row %+v", r)
	}
	want := []Field{{"none", Value{}}, {"score", Value{Float, "0.5"}}, {"style", Value{String, "plain"}}, {"tags", Value{JSON, `["a","b"]`}}}
	if !slices.Equal(r.Extra, want) {
		t.Errorf("extra fields %+v", r.Extra)
	}
}

func TestWholeCharactersAndWhatLooksLikeHalfOfOneAreRead(t *testing.T) {
	r, err := ParseRow([]byte(`{"input":"\ud83d\ude00 \\ud800 \\\ud83d\ude00 \u00e9","output":"b","four_class_label":"DENY"}`))
	if want := "😀 \\ud800 \\😀 é"; err != nil || r.Input != want {
		t.Errorf("input %q, %v; want %q", r.Input, err, want)
	}
}

func TestAValueKeepsItsTypeAndItsDigits(t *testing.T) {
	for raw, want := range map[string]Value{
		"null": {}, "true": {Bool, "true"}, `"a\nb"`: {String, "a\nb"}, `""`: {String, ""}, "[1, 2]": {JSON, "[1, 2]"}, `{"a":"}"}`: {JSON, `{"a":"}"}`},
		"0": {Int, "0"}, "-7": {Int, "-7"}, "9007199254740993": {Int, "9007199254740993"}, "9223372036854775807": {Int, "9223372036854775807"},
		"9223372036854775808": {Number, "9223372036854775808"}, "-0": {Float, "-0"}, "1.0": {Float, "1.0"}, "1e3": {Float, "1e3"}, "1e400": {Number, "1e400"},
	} {
		r, err := ParseRow([]byte(strings.TrimSuffix(goodLine, "}") + `, "x" : ` + raw + " }"))
		if got, ok := r.Get("x"); err != nil || !ok || got != want {
			t.Errorf("%s: %+v, %v, %v; want %+v", raw, got, ok, err, want)
		}
	}
}

func TestTheLanguageIsTheRowsOwnOrToldByKana(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"as the row says", `{"input":"こんにちは","language":"zh"`, "zh"},
		{"kana is Japanese", `{"input":"東京の天気"`, "ja"},
		{"letters are English", `{"input":"weather"`, "en"},
		{"without input the instruction tells", `{"instruction":"カナ"`, "ja"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := ParseRow([]byte(tt.line + `,"output":"o","four_class_label":"DENY"}`))
			if err != nil || r.Language != tt.want {
				t.Errorf("language %q, %v; want %q", r.Language, err, tt.want)
			}
		})
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte(goodLine))
	f.Add([]byte(`{"input":"\ud800","output":"o","four_class_label":"DENY","x":{"y":[null]}}`))
	f.Add([]byte(`{"input":"a","input":"b"}`))
	f.Add([]byte("null"))
	f.Add([]byte("{\"\xff\":1}"))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseRow(line)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q", err)
			}
			return
		}
		if experiments.LabelIndex(r.Label) < 0 || strings.TrimSpace(r.Output) == "" || strings.TrimSpace(r.Text()) == "" && strings.TrimSpace(r.Instruction) == "" {
			t.Errorf("an unusable row passed: %+v", r)
		}
		for _, s := range []string{r.Instruction, r.Input, r.Output, r.Domain, r.Group, r.Language} {
			if !utf8.ValidString(s) {
				t.Errorf("%q is not UTF-8", s)
			}
		}
		again, err := json.Marshal(map[string]string{"instruction": r.Instruction, "input": r.Input, "output": r.Output, "four_class_label": r.Label, "language": r.Language})
		if err != nil {
			t.Fatal(err)
		}
		if b, err := ParseRow(again); err != nil || b.Input != r.Input || b.Output != r.Output || b.Label != r.Label {
			t.Errorf("written and read again it is %+v, %v; was %+v", b, err, r)
		}
	})
}
