package abtest

import (
	"encoding/json"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/dataset"
)

func TestARowThatWasJudgedIsReadAsTheRowThatItCameFrom(t *testing.T) {
	for name, line := range map[string]string{
		"all fields":      `{"instruction":"Classify.","input":"a < b & \"c\"\nd","output":"DENY, since","four_class_label":"DENY","domain_label":"it","safety_label":"unsafe","thinking_format":"none","source_sample":"s/1","language":"ja","style":"plain","n":9007199254740993,"f":5.0,"list":[1,{"a":null}],"日本":true}`,
		"no input":        `{"instruction":"Only this.","output":"ALLOW","four_class_label":"ALLOW"}`,
		"no instruction":  `{"input":"Only this.","output":"ALLOW","four_class_label":"ALLOW"}`,
		"two of one text": `{"input":"x","instruction":"y","output":"x","four_class_label":"REFUSE","source_sample":"x"}`,
	} {
		want, err := dataset.ParseRow([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		s := experiments.Sample{Group: want.Group, Text: want.Text(), Language: want.Language, Label: want.Label, Domain: want.Domain, Instruction: want.Instruction, Reference: want.Output, Columns: experiments.Columns{}}
		for field, v := range map[string]string{"safety_label": want.Safety, "thinking_format": want.Thinking} {
			if v != "" {
				s.Columns[field] = v
			}
		}
		for _, f := range want.Extra {
			s.Columns[f.Name] = json.RawMessage(f.Text)
			if f.Kind == dataset.String {
				s.Columns[f.Name] = f.Text
			}
		}
		// As a result keeps it.
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		s = experiments.Sample{}
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		got, err := DataRow(&s)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		again, err := dataset.ParseRow(got)
		if err != nil {
			t.Fatalf("%s: %s: %v", name, got, err)
		}
		a, _ := json.Marshal(want)
		b, _ := json.Marshal(again)
		// An object's own spelling is not kept.
		if strings.ReplaceAll(string(a), " ", "") != strings.ReplaceAll(string(b), " ", "") {
			t.Errorf("%s:\n%s\n%s", name, a, b)
		}
		if strings.Contains(string(got), "\n") {
			t.Errorf("%s: more than a line: %s", name, got)
		}
	}
}

func TestARowThatTheFormatCannotHoldSaysWhy(t *testing.T) {
	for want, s := range map[string]experiments.Sample{
		"four_class_label": {Text: "x", Label: "MAYBE"},
		"both are empty":   {Text: " ", Label: "ALLOW"},
	} {
		if got, err := DataRow(&s); err == nil || !strings.Contains(err.Error(), want) || experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
	s := experiments.Sample{Text: "x", Label: "ALLOW", Columns: experiments.Columns{"input": "another", "output": 7, "source_sample": 7, "safety_label": 1, "own": 1.5}}
	got, err := DataRow(&s)
	if want := `{"input":"x","output":"ALLOW","four_class_label":"ALLOW","own":1.5}`; err != nil || string(got) != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
