package sandbox

import (
	"fmt"
	"math/rand/v2"

	"triality/runtime/metricabi"
)

// trialRows is the length of the table of a dry run.
const trialRows = 64

// trialClasses are the classes of a dry run: the ones the product decides
// between.
var trialClasses = []string{"ALLOW", "ESCALATION", "DENY", "REFUSE"}

// trialArms are the arms of a dry run for a metric that reads each: more than the product compares, so
// that a metric which counts on two is found out.
var trialArms = []string{"A", "B", "C"}

// SyntheticTable returns a table with every column the description names, rows
// long, the same each time: classes drawn evenly, predictions right in about
// two of three rows, probabilities that sum to one, a few rows without a
// value.
func SyntheticTable(d *metricabi.Description, rows int) metricabi.Table {
	g := synthesizer{rng: rand.New(rand.NewPCG(1, 2)), rows: rows}
	t := metricabi.Table{Rows: rows, Columns: metricabi.ClassColumns(trialClasses...)}
	labels := make([]int32, rows)
	for i := range labels {
		labels[i] = int32(g.rng.IntN(len(trialClasses)))
	}
	if d.ABI == metricabi.Version11 {
		t.Columns = append(t.Columns, metricabi.ArmColumns(trialArms...)...)
	}
	for _, n := range d.Columns {
		if n.Arm != metricabi.ArmEach {
			t.Columns = append(t.Columns, g.columns(n, labels)...)
			continue
		}
		for a := range trialArms {
			n.Arm = metricabi.ArmA + metricabi.Arm(a)
			t.Columns = append(t.Columns, g.columns(n, labels)...)
		}
	}
	return t
}

type synthesizer struct {
	rng  *rand.Rand
	rows int
}

func (g *synthesizer) columns(n metricabi.Need, labels []int32) []metricabi.Column {
	switch n.Role {
	case metricabi.RoleLabel:
		return []metricabi.Column{metricabi.Int32Column(n.Role, n.Arm, "", labels)}
	case metricabi.RolePrediction:
		c := metricabi.Int32Column(n.Role, n.Arm, "", make([]int32, g.rows))
		valid := make([]bool, g.rows)
		for i := range labels {
			c.Int32[i], valid[i] = labels[i], g.rng.IntN(16) > 0
			if g.rng.IntN(3) == 0 {
				c.Int32[i] = int32(g.rng.IntN(len(trialClasses)))
			}
		}
		c.SetValid(valid)
		return []metricabi.Column{c}
	case metricabi.RoleProbability:
		return g.probabilities(n.Arm)
	}
	c := metricabi.Column{Role: n.Role, Arm: n.Arm, Name: n.Name}
	switch {
	case n.Role == metricabi.RoleLatency || n.DType == metricabi.F64:
		return []metricabi.Column{metricabi.Float64Column(c.Role, c.Arm, c.Name, g.floats(1, 500))}
	case n.Role == metricabi.RoleTokenLogProb || n.DType == metricabi.F64List:
		lists := make([][]float64, g.rows)
		for i := range lists {
			lists[i] = make([]float64, g.rng.IntN(8))
			for j := range lists[i] {
				lists[i][j] = -10 * g.rng.Float64()
			}
		}
		c = metricabi.Float64ListColumn(c.Role, c.Arm, c.Name, lists)
	case n.DType == metricabi.I32:
		c = metricabi.Int32Column(c.Role, c.Arm, c.Name, make([]int32, g.rows))
		for i := range c.Int32 {
			c.Int32[i] = int32(g.rng.IntN(100))
		}
	case n.DType == metricabi.I64:
		c = metricabi.Int64Column(c.Role, c.Arm, c.Name, make([]int64, g.rows))
		for i := range c.Int64 {
			c.Int64[i] = g.rng.Int64N(1 << 40)
		}
	default: // text, output, group and extras of utf8
		words := make([]string, g.rows)
		for i := range words {
			words[i] = fmt.Sprintf("%s 例 %d", n.Role, g.rng.IntN(g.rows/4+1))
		}
		c = metricabi.StringColumn(c.Role, c.Arm, c.Name, words)
	}
	return []metricabi.Column{c}
}

func (g *synthesizer) floats(low, high float64) []float64 {
	out := make([]float64, g.rows)
	for i := range out {
		out[i] = low + (high-low)*g.rng.Float64()
	}
	return out
}

// probabilities returns one column a class; each row sums to one.
func (g *synthesizer) probabilities(arm metricabi.Arm) []metricabi.Column {
	out := make([]metricabi.Column, len(trialClasses))
	for i, name := range trialClasses {
		out[i] = metricabi.Float64Column(metricabi.RoleProbability, arm, name, g.floats(0.01, 1))
	}
	for row := range g.rows {
		sum := 0.0
		for i := range out {
			sum += out[i].Float64[row]
		}
		for i := range out {
			out[i].Float64[row] /= sum
		}
	}
	return out
}

// trialParameters gives a value to each parameter without a default.
func trialParameters(d *metricabi.Description) map[string]any {
	values := map[string]any{}
	for _, p := range d.Parameters {
		if p.Default != nil {
			continue
		}
		n := 1.0
		if p.Min != nil && n < *p.Min {
			n = *p.Min
		}
		if p.Max != nil && n > *p.Max {
			n = *p.Max
		}
		values[p.Name] = map[metricabi.ParameterType]any{metricabi.Number: n, metricabi.Integer: n,
			metricabi.Boolean: true, metricabi.String: "trial", metricabi.Numbers: []float64{n}}[p.Type]
	}
	return values
}
