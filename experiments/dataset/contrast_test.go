package dataset

import (
	"fmt"
	"testing"

	"triality/experiments"
)

func TestTheContrastPairsAreTwoHundredInEachLanguageAndApart(t *testing.T) {
	p, err := Prepare(t.Context(), Options{InputPath: "../../configs/contrast", Strict: true, ValRatio: 0.1, TestRatio: 0.2, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	type pair struct{ allowed, other, looks []string }
	pairs, cells := map[string]*pair{}, map[string]int{}
	labels := map[string]string{} // of the other request of a pair
	for i := range p.Rows.Rows {
		r := &p.Rows.Rows[i]
		named, _ := r.Get("pair")
		style, _ := r.Get("style")
		if !r.says(licences) || !r.says(sources) || r.Group != "contrast/"+named.Text || r.Output != r.Label || r.Domain == "" {
			t.Errorf("%s:%d: group %q, pair %q, output %q, label %q, domain %q", r.File, r.Line, r.Group, named.Text, r.Output, r.Label, r.Domain)
		}
		key := r.Language + " " + named.Text
		if pairs[key] == nil {
			pairs[key] = &pair{}
		}
		if r.Label == "ALLOW" {
			pairs[key].allowed = append(pairs[key].allowed, r.Input)
		} else {
			pairs[key].other = append(pairs[key].other, r.Input)
			if first := labels[named.Text]; first != "" && first != r.Label {
				t.Errorf("pair %s is %s in one language and %s in the other", named.Text, first, r.Label)
			}
			labels[named.Text] = r.Label
		}
		if style.Text != "plain" {
			pairs[key].looks = append(pairs[key].looks, style.Text)
		}
		cells[r.Language+" "+r.Label]++
		cells[r.Language+" "+style.Text]++
	}
	for key, q := range pairs {
		if len(q.allowed) != 1 || len(q.other) != 1 || len(q.looks) != 1 {
			t.Errorf("pair %s has %d allowed, %d other requests, and %d that look like what they are not", key, len(q.allowed), len(q.other), len(q.looks))
		}
	}
	for _, language := range []string{"en", "ja"} {
		n := 0
		for _, label := range experiments.Labels[1:] {
			n += cells[language+" "+label]
			if cells[language+" "+label] < 30 {
				t.Errorf("%d rows in %s are %s", cells[language+" "+label], language, label)
			}
		}
		if got := fmt.Sprint(cells[language+" ALLOW"], n, cells[language+" looks_dangerous"], cells[language+" looks_benign"]); got != "200 200 100 100" {
			t.Errorf("%s: %s rows are allowed, are not, look dangerous and look benign", language, got)
		}
	}
	for _, near := range p.Near.Pairs {
		a, b := p.Rows.Rows[near.I], p.Rows.Rows[near.J]
		t.Errorf("%s:%d and %s:%d are alike: %q %q", a.File, a.Line, b.File, b.Line, a.Input, b.Input)
	}
}

func TestNoContrastPairIsInTheSample(t *testing.T) {
	sample, err := Prepare(t.Context(), Options{InputPath: "../../configs/sample", NoSplit: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	contrast, err := Prepare(t.Context(), Options{InputPath: "../../configs/contrast", NoSplit: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := Compare(t.Context(), sample.Of(0), contrast.Of(0), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if o.Either > 0 {
		t.Errorf("%d of the contrast pairs' rows are near-duplicates of the sample's", o.Either)
	}
}
