package config

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/abtest"
)

// designFaults lists what is wrong with a design.
func designFaults(d experiments.Design) (out []fault) {
	fail := func(key, format string, args ...any) {
		out = append(out, fault{"design." + key, fmt.Sprintf(format, args...)})
	}
	known := experiments.InferenceMetrics()
	metric := func(key, name string) {
		switch {
		case !slices.Contains(known, name):
			hint := ""
			if near, ok := Nearest(name, known); ok {
				hint = fmt.Sprintf("; did you mean %s?", near)
			}
			fail(key, "want one of %s, have %q%s", strings.Join(known, ", "), name, hint)
		case d.Looks == experiments.LooksAny && !abtest.SharesAlone(name):
			fail(key, "%s is no share of rows: test.design.looks: any holds for accuracy, false_allow, over_refusal and recall alone", name)
		}
	}
	metric("primary", d.Primary)
	if d.Claim != experiments.ClaimSuperiority && d.Margin == 0 {
		fail("margin", "must be over 0 for %s: no test shows that two models are alike to the last digit", d.Claim)
	}
	if d.Unit == "" {
		fail("unit", "is needed: source_sample, row, or a field of the rows")
	}
	seen := map[string]bool{d.Primary: true}
	for i, g := range d.Guardrails {
		key := fmt.Sprintf("guardrails[%d]", i)
		metric(key+".metric", g.Metric)
		if !(g.Margin > 0) || math.IsInf(g.Margin, 0) || g.Margin > 1000 {
			fail(key+".margin", "must be over 0 and at most 1000, is %v", g.Margin)
		}
		switch {
		case g.Metric == d.Primary:
			fail(key+".metric", "%s is the primary metric already", g.Metric)
		case seen[g.Metric]:
			fail(key+".metric", "%s is given twice", g.Metric)
		}
		seen[g.Metric] = true
	}
	return out
}
