// Package verdict says in one sentence what follows from an A/B test's inference for B. The sentence is made here once, in
// every language, and pages, reports and terminals show it as it is, so that none says something else.
package verdict

import (
	"triality/experiments"
)

// Codes of a verdict.
const (
	CodeShown           = "shown"            // the claim is shown and every guardrail kept: B ships
	CodeGuardrailBroken = "guardrail_broken" // a guardrail is shown to be worse by more than its margin
	CodeRefuted         = "refuted"          // the claim is shown not to hold
	CodeTainted         = "tainted"          // the training data has rows of the test
	CodeOpen            = "open"             // the rows do not show whether the claim holds
	CodeGuardrailOpen   = "guardrail_open"   // the claim is shown, and a guardrail not known to be kept
)

// Decide fills in the verdict of an inference: from the findings of its comparisons, whose intervals are those that are
// shown, and from nothing else.
func Decide(i *experiments.Inference) {
	v := experiments.Verdict{Text: map[string]string{}, Notes: map[string][]string{}}
	var primary *experiments.Comparison
	var broken, open []string
	for k := range i.Comparisons {
		c := &i.Comparisons[k]
		switch {
		case c.Role == experiments.RolePrimary:
			primary = c
		case c.Role == experiments.RoleGuardrail && c.Finding == experiments.FindingRefuted:
			broken = append(broken, c.Metric)
		case c.Role == experiments.RoleGuardrail && c.Finding == experiments.FindingOpen:
			open = append(open, c.Metric)
		}
	}
	if primary == nil { // nothing was asked
		i.Verdict = v
		return
	}
	v.Args = []string{primary.Metric}
	switch {
	case i.Tainted > 0:
		v.Decision, v.Code = experiments.DecisionNotKnown, CodeTainted
	case len(broken) > 0:
		v.Decision, v.Code, v.Args = experiments.DecisionKeep, CodeGuardrailBroken, append(v.Args, broken...)
	case primary.Finding == experiments.FindingRefuted:
		v.Decision, v.Code = experiments.DecisionKeep, CodeRefuted
	case primary.Finding == experiments.FindingOpen:
		v.Decision, v.Code, v.Args = experiments.DecisionNotKnown, CodeOpen, append(v.Args, open...)
	case len(open) > 0:
		v.Decision, v.Code, v.Args = experiments.DecisionNotKnown, CodeGuardrailOpen, append(v.Args, open...)
	default:
		v.Decision, v.Code = experiments.DecisionShip, CodeShown
	}
	i.Verdict = v
	for language, l := range languages {
		i.Verdict.Text[language] = l.sentence(i)
		i.Verdict.Notes[language] = l.notes(i)
	}
}
