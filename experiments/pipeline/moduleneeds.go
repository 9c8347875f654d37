package pipeline

import (
	"context"
	"fmt"

	"triality/experiments"
	"triality/runtime/metricabi"
)

// writeTexts is how a test comes to have texts.
const writeTexts = "set test.generate.max_new_tokens (abtest: --generate-max-new-tokens)"

// checkModules refuses, before anything is computed, what cannot come to a result: a metric that needs
// the texts of a test that writes none, and two entries of the same module and parameters. A module that
// does not describe itself, or refuses its parameters, is left to the test, whose result says so.
func (e *Engine) checkModules(ctx context.Context, modules []Module, texts bool) error {
	seen := map[string]int{}
	for i := range modules {
		m := &modules[i]
		d, err := e.Sandbox.Describe(ctx, m.Wasm)
		if ctx.Err() != nil {
			return trainError(ctx.Err())
		}
		if err != nil {
			continue
		}
		if n := textNeed(d); n != nil && !texts {
			return experiments.Errorf(experiments.CodeInvalid, "test.metrics[%d] (%s): metric %s needs %s, which the models are not asked to write: %s", i, m.Name, d.Name, n, writeTexts)
		}
		key, err := moduleKey(m, d, nil)
		if err != nil {
			continue
		}
		if first, ok := seen[key]; ok {
			return experiments.Errorf(experiments.CodeInvalid, "test.metrics[%d] (%s): the module and its parameters are those of test.metrics[%d]; their result would be the same", i, m.Name, first)
		}
		seen[key] = i
	}
	return nil
}

// textNeed is the first column of d that only a test with texts has, or nil.
func textNeed(d *metricabi.Description) *metricabi.Need {
	for i, n := range d.Columns {
		if ofTexts(n) && !n.Optional {
			return &d.Columns[i]
		}
	}
	return nil
}

// ofTexts holds for columns that only a test with texts has.
func ofTexts(n metricabi.Need) bool {
	return n.Role == metricabi.RoleOutput || n.Role == metricabi.RoleTokenLogProb
}

// lacks says in the tracker's words which column that a metric needs the rows do not have.
func lacks(d *metricabi.Description, samples []experiments.Sample, t metricabi.Table) error {
	for _, n := range d.Columns {
		if n.Optional || t.Has(n) {
			continue
		}
		switch {
		case ofTexts(n):
			return fmt.Errorf("metric %s needs %s, and this A/B test wrote no texts: %s", d.Name, n, writeTexts)
		case n.Role == metricabi.RoleExtra && n.Name == "reference":
			return fmt.Errorf("metric %s needs the rows' own answers (reference), which results of an earlier version do not keep: run the test again", d.Name)
		case n.Role == metricabi.RoleExtra:
			return fmt.Errorf("metric %s needs %s, which no row has; there are %q", d.Name, n, ownColumnNames(samples))
		}
	}
	return nil
}
