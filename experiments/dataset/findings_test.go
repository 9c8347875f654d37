package dataset

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/runtime/hfdataset"
)

func TestDoubtfulRowsAreFoundAndSaid(t *testing.T) {
	row := func(input, output, label string) string {
		return `{"instruction":"Judge.","input":"` + input + `","output":"` + output + `","four_class_label":"` + label + `"}` + "\n"
	}
	tests := []struct {
		name, text                 string
		contradictions, mismatches int
		said                       []string
	}{
		{"nothing", row("a b", "ALLOW", "ALLOW") + row("a c", "DENY", "DENY"), 0, 0, nil},
		{"one text with two labels", row("May I?", "ALLOW", "ALLOW") + row("x", "DENY", "DENY") + row("may  i?", "DENY", "DENY"), 1, 0,
			[]string{"1 text has several labels", "a.jsonl:3: four_class_label: is DENY, and ALLOW for the same text in ", "a.jsonl:1"}},
		{"the same text and label twice", row("a", "DENY", "DENY") + row("a", "DENY", "DENY"), 0, 0, nil},
		{"an output of another class", row("a", "DENY", "ALLOW") + row("b", "Deny.", "REFUSE") + row("c", "The answer is DENY", "ALLOW"), 0, 3,
			[]string{"3 rows' outputs contradict their labels", "a.jsonl:1: output: says DENY where four_class_label is ALLOW: DENY"}},
		{"outputs that speak of other classes", row("a", "ALLOW, not DENY", "ALLOW") + row("b", "Allow me to refuse", "REFUSE") + row("c", "This is no case of DENY but of ALLOW", "ALLOW") + row("d", "I cannot allow this", "DENY"), 0, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var notes []string
			o := Options{InputPath: filepath.Join(files(t, map[string]string{"a.jsonl": tt.text}), "a.jsonl"), Format: "instruction", NoSplit: true}
			p, err := Prepare(context.Background(), o, teller{notes: &notes})
			if err != nil {
				t.Fatal(err)
			}
			sum, err := p.Convert(context.Background(), filepath.Join(t.TempDir(), "d"), nil, o, nil)
			if err != nil || sum.Contradictions != tt.contradictions || sum.Mismatches != tt.mismatches {
				t.Errorf("%d contradictions, %d mismatches, %v", sum.Contradictions, sum.Mismatches, err)
			}
			for _, said := range []string{strings.Join(notes, "\n"), strings.Join(sum.Findings, "\n")} {
				for _, want := range tt.said {
					if !strings.Contains(said, want) {
						t.Errorf("said %q, not %q", said, want)
					}
				}
				if tt.said == nil && said != "" {
					t.Errorf("said %q", said)
				}
			}
		})
	}
}

func TestASplitWithoutAClassIsSaid(t *testing.T) {
	text := jsonl(80) + `{"input":"the only one of its class","output":"REFUSE","four_class_label":"REFUSE","source_sample":"z"}` + "\n"
	text = strings.ReplaceAll(text, `"output":"REFUSE","four_class_label":"REFUSE","domain`, `"output":"DENY","four_class_label":"DENY","domain`)
	text = strings.ReplaceAll(text, "ESCALATION", "ALLOW")
	p, o := prepare(t, text, nil)
	var notes []string
	sum, err := p.Convert(context.Background(), filepath.Join(t.TempDir(), "d"), nil, o, teller{notes: &notes})
	want := []string{"no row of the dataset is ESCALATION", "the val split has no row of REFUSE, of 1 in the dataset", "the test split has no row of REFUSE, of 1 in the dataset"}
	for i, w := range want {
		if err != nil || len(sum.Missing) != len(want) || !strings.Contains(sum.Missing[i], w) || !strings.Contains(notes[i], w) {
			t.Fatalf("missing %q, notes %q, %v; want %q", sum.Missing, notes, err, want)
		}
	}
}

func TestColumnsKeepTheirTypeAndSayWhatTheyBecome(t *testing.T) {
	line := func(extra string) string {
		return `{"input":"a` + strings.Repeat("b", len(extra)) + `","output":"DENY","four_class_label":"DENY",` + extra + "}\n"
	}
	text := line(`"n1":9007199254740993,"flag":true,"x":1,"mix":1,"big":18446744073709551616,"wide":9007199254740993,"tags":[1],"gone":null,"text":"own"`) +
		line(`"n2":0,"x":0.5,"mix":"one","n1":-1,"flag":false,"wide":0.5,"gone":null`) + line(`"n3":0,"x":null`)
	p, o := prepare(t, text, func(o *Options) { o.NoSplit = true })
	dir := filepath.Join(t.TempDir(), "d")
	sum, err := p.Convert(context.Background(), dir, nil, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	splits, err := hfdataset.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]hfdataset.Kind{"n1": hfdataset.Int64, "flag": hfdataset.Bool, "x": hfdataset.Float64, "mix": hfdataset.String,
		"big": hfdataset.String, "wide": hfdataset.String, "tags": hfdataset.String, "gone": hfdataset.String, "extra_text": hfdataset.String} {
		if c := splits[0].Column(name); c == nil || c.Kind != want {
			t.Errorf("column %s is %+v, want %s", name, c, want)
		}
	}
	if c := splits[0].Column("n1"); c.Ints[0] != 9007199254740993 || c.Ints[1] != -1 || !slices.Equal(c.Valid, []bool{true, true, false}) {
		t.Errorf("n1 is %+v", c)
	}
	if c := splits[0].Column("wide"); c.Strings[0] != "9007199254740993" || c.Strings[1] != "0.5" {
		t.Errorf("wide is %+v", c)
	}
	said := strings.Join(sum.Findings, "\n")
	for _, want := range []string{"column x: 1 integers and 1 numbers with a fraction become float64", "column mix: 1 text and 1 integers become text",
		"column big: 1 numbers too large for 64 bits become their JSON text", "column wide: ", "column tags: 1 lists or objects become their JSON text", "column gone: has no value in any row", "column text: is extra_text in the dataset"} {
		if !strings.Contains(said, want) {
			t.Errorf("said %q, not %q", said, want)
		}
	}
	back, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := back["train"].Rows[0].Get("n1"); v != (Value{Int, "9007199254740993"}) {
		t.Errorf("read again n1 is %+v", v)
	}
	if _, has := back["train"].Rows[2].Get("x"); has {
		t.Error("a row without x has one when read again")
	}
}

func TestSkippedLinesAreSaidWhateverFailsAfterwards(t *testing.T) {
	dir := files(t, map[string]string{"a.jsonl": "broken\n" + goodLine + "\n", "long.jsonl": "broken\n" + jsonl(40)})
	var notes []string
	_, err := Prepare(context.Background(), Options{InputPath: filepath.Join(dir, "a.jsonl"), ValRatio: 0.1, TestRatio: 0.2}, teller{notes: &notes})
	if err == nil || !strings.Contains(err.Error(), "split is empty") || !strings.Contains(err.Error(), "1 bad lines were skipped before, the first: ") || !strings.Contains(err.Error(), "a.jsonl:1") || experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("error %v", err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "skipped ") || !strings.Contains(notes[0], "a.jsonl:1: is not a JSON object") {
		t.Errorf("notes %q", notes)
	}
	o := Options{InputPath: filepath.Join(dir, "long.jsonl"), Format: "instruction", MaxLength: 3, ValRatio: 0.1, TestRatio: 0.2}
	p, err := Prepare(context.Background(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = p.Convert(context.Background(), filepath.Join(dir, "d"), runes{eos: -1}, o, nil); err == nil || !strings.Contains(err.Error(), "data.max_length") || !strings.Contains(err.Error(), "long.jsonl:1") {
		t.Errorf("error %v", err)
	}
}
