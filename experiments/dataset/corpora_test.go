package dataset

import (
	"context"
	"path/filepath"
	"testing"

	"triality/experiments"
	"triality/runtime/realdata"
)

func TestTheShippedSampleIsFreeOfDuplicatesAndLeaks(t *testing.T) {
	p, err := Prepare(context.Background(), Options{InputPath: "../../configs/sample", Strict: true, ValRatio: 0.1, TestRatio: 0.2, Seed: 42}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := p.Rows.Rows
	groups, exact, cells := map[string]string{}, map[string]int{}, map[[2]string]int{}
	for i := range rows {
		r := &rows[i]
		if label, ok := groups[r.Group]; ok && label != r.Label {
			t.Errorf("%s:%d: group %s has the labels %s and %s", r.File, r.Line, r.Group, label, r.Label)
		}
		if first, ok := exact[r.Text()]; ok {
			t.Errorf("%s:%d repeats %s:%d", r.File, r.Line, rows[first].File, rows[first].Line)
		}
		if r.Group == "" || r.Domain == "" || r.Output != r.Label {
			t.Errorf("%s:%d: group %q, domain %q, output %q, label %q", r.File, r.Line, r.Group, r.Domain, r.Output, r.Label)
		}
		groups[r.Group], exact[r.Text()] = r.Label, i
		cells[[2]string{r.Label, r.Language}]++
	}
	if len(rows) < 1200 || len(groups) < 400 {
		t.Errorf("%d rows in %d groups, want 1200 and 400", len(rows), len(groups))
	}
	for _, label := range experiments.Labels {
		for _, language := range []string{"en", "ja"} {
			if n := cells[[2]string{label, language}]; n < 100 {
				t.Errorf("%d rows %s in %s, want 100", n, label, language)
			}
		}
	}
	for _, pair := range p.Near.Pairs {
		a, b := rows[pair.I], rows[pair.J]
		if a.Group != b.Group {
			t.Errorf("%s:%d and %s:%d are alike: %q %q", a.File, a.Line, b.File, b.Line, a.Text(), b.Text())
		}
		if p.Assign[pair.I] != p.Assign[pair.J] {
			t.Errorf("near-duplicates in %s and %s", SplitNames[p.Assign[pair.I]], SplitNames[p.Assign[pair.J]])
		}
	}
}

func TestXSafetyConverts(t *testing.T) {
	for i, input := range realdata.Paths(t, "data/xsafety") {
		convertsXSafety(t, input, []int{40, 2400}[i])
	}
}

// convertsXSafety converts so many rows of each of the two languages.
func convertsXSafety(t *testing.T, input string, each int) {
	t.Helper()
	o := Options{InputPath: input, Format: "completion", MaxLength: 4000, ValRatio: 0.1, TestRatio: 0.2, Seed: 42}
	p, err := Prepare(context.Background(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "dataset")
	sum, err := p.Convert(context.Background(), dir, runes{eos: -1}, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Rows != 2*each || sum.Skipped != 0 || sum.Dropped != 0 || sum.Leaks != 0 || sum.Languages["en"] != each || sum.Languages["ja"] != each {
		t.Errorf("summary %+v", sum)
	}
	splits, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]string{}
	for name, s := range splits {
		for i := range s.Rows {
			if had, ok := of[s.Rows[i].Group]; ok && had != name {
				t.Fatalf("group %s is in %s and %s", s.Rows[i].Group, had, name)
			}
			of[s.Rows[i].Group] = name
		}
	}
}
