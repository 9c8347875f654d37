package query

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

var trees = []struct{ name, text, want string }{
	{"nothing finds everything", "  ", ""},
	{"the issue's example", `metrics.x > 0.9 AND params.lr = 1e-4 AND (tags.a LIKE 'z%' OR NOT attributes.status = 'FAILED')`,
		`metrics.x > 0.9 AND params.lr = 1e-4 AND (tags.a LIKE 'z%' OR NOT attributes.status = 'FAILED')`},
	{"a fold", "best(eval/f1)>0.8", "best(eval/f1) > 0.8"},
	{"a fold of a metric with its kind, in any case", "MEAN( Metrics.`a b` ) <= 1", "mean(metrics.`a b`) <= 1"},
	{"no spaces", "lr=0.001", "lr = 0.001"},
	{"words stand together as with AND", "resnet lr=0.1 done", `"resnet" AND lr = 0.1 AND "done"`},
	{"a phrase", `"two words" 'and three'`, `"two words" AND "and three"`},
	{"OR binds least", "a=1 b=2 OR c=3 AND d=4", "(a = 1 AND b = 2) OR (c = 3 AND d = 4)"},
	{"NOT binds most", "NOT a=1 AND b=2", "NOT a = 1 AND b = 2"},
	{"NOT of a group", "not (a=1 or b=2)", "NOT (a = 1 OR b = 2)"},
	{"NOT of NOT", "NOT NOT x", `NOT NOT "x"`},
	{"lists", "status in ('finished', failed) AND lr NOT IN(1,2)", "status IN ('finished', failed) AND lr NOT IN (1, 2)"},
	{"likenesses", "name ILIKE '%Res%' name not like 'a_b' x NOT ILIKE y", "name ILIKE '%Res%' AND name NOT LIKE 'a_b' AND x NOT ILIKE y"},
	{"nulls", "tags.a IS NULL or tags.b is not null", "tags.a IS NULL OR tags.b IS NOT NULL"},
	{"other spellings of operators", "a==1 b<>2", "a = 1 AND b != 2"},
	{"keys in quotes", "metrics.`a b` > 1 AND params.\"c d\" = 'x' AND 'e f' = 2", "metrics.`a b` > 1 AND params.`c d` = 'x' AND `e f` = 2"},
	{"quotes inside quotes", `tags.x = 'it''s' AND "say ""hi"""`, `tags.x = 'it''s' AND "say ""hi"""`},
	{"a quote inside a word belongs to it", "don't", `"don't"`},
	{"MLflow's names of kinds", "parameter.a='1' and attr.b='2' and run.status = 'x' and Tag.c != '3'",
		"params.a = '1' AND attributes.b = '2' AND attributes.status = 'x' AND tags.c != '3'"},
	{"dates and durations", "started > 2026-11-01 AND duration>10m AND created <= 2026-11-01T10:30:00Z",
		"started > 2026-11-01 AND duration > 10m AND created <= 2026-11-01T10:30:00Z"},
	{"words of the language that are none here", "is in like", `"is" AND "in" AND "like"`},
	{"a key that is a word of the language", "in = 3 AND `and` = 4", "`in` = 3 AND `and` = 4"},
	{"a key in quotes that begins like a kind", "`metrics.x` = 1", "`metrics.x` = 1"},
	{"other scripts", "名前=実行 あ", "名前 = 実行 AND \"あ\""},
	{"parentheses of one", "((a=1))", "a = 1"},
	{"negative numbers", "loss<-0.5 x=-1e-3", "loss < -0.5 AND x = -1e-3"},
}

func TestFiltersParseTo(t *testing.T) {
	for _, c := range trees {
		t.Run(c.name, func(t *testing.T) {
			n, err := Parse(c.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := n.String(); got != c.want {
				t.Errorf("%s\nparses to %s\nwant      %s", c.text, got, c.want)
			}
		})
	}
}

func TestErrorsSayWhereAndWhatWasWanted(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a comparison cut short", "loss <", `at character 7: want a value: a number, a word or a text in quotes, have the end`},
		{"a value that is no value", "loss < )", `at character 8: want a value: a number, a word or a text in quotes, have ")"`},
		{"an operator twice", "a = = 1", `at character 5: want a value`},
		{"a parenthesis that is not closed", "(a=1 AND b=2", `at character 13: want AND, OR or ), have the end`},
		{"a parenthesis too many", "a=1)", `at character 4: want AND, OR or the end, have ")"`},
		{"an empty group", "a=1 AND ()", `at character 10: want a comparison such as loss < 0.5, a word, NOT or (, have ")"`},
		{"AND at the end", "a=1 AND", `at character 8: want a comparison`},
		{"OR at the start", "OR a=1", `at character 1: want a comparison`},
		{"a quote without its end", "name = 'x", `at character 8: the quote ' that begins here has no end`},
		{"the place is counted in characters", "名前 = 'x", `at character 6: the quote`},
		{"a list without its end", "a IN (1, 2", `at character 11: want , or ), have the end`},
		{"an empty list", "a IN ()", `at character 7: want a value`},
		{"an unknown fold", "median(loss) > 1", `at character 1: want last, min, max, best, mean or count before (, have "median"`},
		{"a fold that is compared with nothing", "best(f1)", `at character 9: want a comparison such as > 0.5, have the end`},
		{"a fold of a parameter", "best(params.lr) > 1", `at character 6: want a metric in best(), have params.lr`},
		{"a kind without a name", "metrics. > 1", `at character 1: want a name after "metrics."`},
		{"= NULL", "a = NULL", `at character 5: want a value; IS NULL and IS NOT NULL ask whether there is one`},
		{"a control character", "a\x00", `at character 2: a control character`},
		{"too deep", strings.Repeat("(", 200) + "a=1" + strings.Repeat(")", 200), "it is nested more than 100 deep"},
		{"too deep with NOT", strings.Repeat("NOT ", 200) + "a", "it is nested more than 100 deep"},
		{"too many terms", strings.Repeat("a ", 300), "more than 200 comparisons and words"},
		{"too long", strings.Repeat("a", 20000), "20000 bytes, at most 16384"},
		{"bytes that are not UTF-8", "ab\xff", "at character 3: it is not UTF-8"},
		{"a comma", "a=1, b=2", `at character 4: want a comparison`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse(c.text)
			var at *Error
			if !errors.As(err, &at) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestOrdersAndKeysParse(t *testing.T) {
	for text, want := range map[string]string{
		"metrics.loss": "metrics.loss ASC", "best(eval/f1) desc": "best(eval/f1) DESC", "`a b` ASC": "`a b` ASC", "params.lr DESC": "params.lr DESC",
	} {
		if o, err := ParseOrder(text); err != nil || o.String() != want {
			t.Errorf("%s parses to %v, error %v", text, o, err)
		}
	}
	for _, text := range []string{"", "a b", "a = 1", "best(x", "DESC ASC DESC", "''"} {
		if k, err := ParseKey(text); err == nil {
			t.Errorf("key %q parses to %v", text, k)
		}
		if o, err := ParseOrder(text); err == nil {
			t.Errorf("order %q parses to %v", text, o)
		}
	}
}

func TestLiterals(t *testing.T) {
	for text, want := range map[string]float64{"1e-4": 0.0001, "0.0001": 0.0001, "-5": -5, "+2.5E3": 2500, ".5": 0.5} {
		if got, ok := Number(text); !ok || got != want {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "x", "0x10", "1_000", "1e", "e5", "--1", "1.2.3", "nano"} {
		if got, ok := Number(text); ok {
			t.Errorf("%q is the number %v", text, got)
		}
	}
	for text, want := range map[string]float64{"10m": 600, "1h30m": 5400, "2d": 172800, "1w1d": 691200, "1.5d": 129600, "90": 90, "250ms": 0.25, "1d2h": 93600} {
		if got, ok := Seconds(text); !ok || got != want {
			t.Errorf("%s is %v s, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "m", "10 minutes", "-5m", "d", "1e300d", "99999999999h"} {
		if got, ok := Seconds(text); ok {
			t.Errorf("%q is %v seconds", text, got)
		}
	}
	now := time.Date(2026, 11, 30, 15, 4, 5, 0, time.UTC)
	for text, want := range map[string][2]string{
		"2026-11-01":                {"2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"},
		"2026-11-01T10:30":          {"2026-11-01T10:30:00Z", "2026-11-01T10:31:00Z"},
		"2026-11-01T10:30:00+09:00": {"2026-11-01T01:30:00Z", "2026-11-01T01:30:00.000000001Z"},
		"today":                     {"2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"},
		"Yesterday":                 {"2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"},
		"-7d":                       {"2026-11-23T15:04:05Z", "2026-11-23T15:04:05.000000001Z"},
		"1793527200000":             {"2026-11-01T10:00:00Z", "2026-11-01T10:00:00.001Z"},
	} {
		got, ok := Time(text, now)
		if f := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }; !ok || f(got.From) != want[0] || f(got.To) != want[1] {
			t.Errorf("%s is %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"", "soon", "2026-13-01", "7d", "-1"} {
		if got, ok := Time(text, now); ok {
			t.Errorf("%q is the time %v", text, got)
		}
	}
}

// withoutPlaces is a tree without where its parts stood.
func withoutPlaces(n Node) Node {
	parts := func(in []Node) (out []Node) {
		for _, p := range in {
			out = append(out, withoutPlaces(p))
		}
		return out
	}
	switch n := n.(type) {
	case All:
		return All{parts(n.Of)}
	case Any:
		return Any{parts(n.Of)}
	case Not:
		return Not{withoutPlaces(n.Of)}
	case Text:
		return Text{Text: n.Text}
	case Compare:
		n.Key.At = 0
		n.Values = append([]Value(nil), n.Values...)
		for i := range n.Values {
			n.Values[i].At = 0
			n.Values[i].Quoted = false
		}
		return n
	}
	return nil
}

func FuzzParse(f *testing.F) {
	for _, c := range trees {
		f.Add(c.text)
	}
	f.Add("a IN (1")
	f.Add("best(`x``y`) >= -1e9 OR \"\"")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Parse(text)
		if err != nil {
			var at *Error
			if !errors.As(err, &at) || at.At < 1 || at.At > len([]rune(text))+1 {
				t.Fatalf("error %#v of %q", err, text)
			}
			return
		}
		printed := n.String()
		if len(printed) > MaxBytes {
			return
		}
		again, err := Parse(printed)
		if err != nil {
			t.Fatalf("%q parses, what it prints as does not: %q: %v", text, printed, err)
		}
		if !reflect.DeepEqual(withoutPlaces(n), withoutPlaces(again)) {
			t.Fatalf("%q prints as %q, which prints as %q", text, printed, again)
		}
	})
}
