package experiments

import (
	"reflect"
	"testing"
)

func TestRowsAreCountedByLanguageAndDomain(t *testing.T) {
	row := func(language, domain, a, b string) Sample {
		return Sample{Language: language, Domain: domain, Label: "ALLOW", PredictionA: a, PredictionB: b}
	}
	got := GroupScores([]Sample{row("en", "it", "ALLOW", "ALLOW"), row("en", "", "DENY", "ALLOW"), row("ja", "it", "ALLOW", "DENY"), row("en", "law", "DENY", "DENY")})
	want := []GroupScore{
		{By: "language", Value: "en", Rows: 3, RightA: 1, RightB: 2, OnlyB: 1}, {By: "language", Value: "ja", Rows: 1, RightA: 1, OnlyA: 1},
		{By: "domain", Value: "it", Rows: 2, RightA: 2, RightB: 1, OnlyA: 1}, {By: "domain", Value: "law", Rows: 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}
