package compare

import (
	"fmt"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/graph"
)

// Fact is a figure of both sides.
type Fact struct {
	Name string `json:"name"`
	A    any    `json:"a"`
	B    any    `json:"b"`
}

// Shown is what a page shows.
type Shown struct {
	A     string    `json:"a"` // what they are called
	B     string    `json:"b"`
	Runs  [2]string `json:"runs"` // ids, where they are of runs
	Facts []Fact    `json:"facts"`
	// Rows are those that both judged with the same label; the others are counted.
	Rows       int `json:"rows"`
	OnlyA      int `json:"only_a"`
	OnlyB      int `json:"only_b"`
	Relabelled int `json:"relabelled"`
	// Inference is the paired difference; null where no row is shared, or labels or answers are other than the four classes.
	Inference *experiments.Inference `json:"inference"`
	// Designed says that the test was designed before its data, so that its verdict is one.
	Designed bool `json:"designed"`
}

func (b *Body) show() (Shown, error) {
	if b.Read == nil && b.Other.Text == "" {
		var r *experiments.ABResult
		if err := b.Result.Decode(&r); err != nil {
			return Shown{}, graph.At("result", err)
		}
		out := Shown{A: "A", B: "B", Facts: facts(r, 0, r, 1), Rows: r.Rows, Inference: r.Inference, Designed: true}
		if out.Inference == nil && abtest.Judged(r.Samples) {
			out.Inference, out.Designed = infer(r.Samples, r), false
		}
		return out, nil
	}
	found := b.Read
	if found == nil {
		found = &Found{}
		for i, in := range []graph.Input{b.Result, b.Other} {
			if err := in.Decode(&found.Results[i]); err != nil {
				return Shown{}, graph.At([]string{"result", "other"}[i], err)
			}
			if found.Names[i], _, _ = in.Reference(); found.Names[i] == "" {
				found.Names[i] = in.Text
			}
		}
	}
	first, second := found.Results[0], found.Results[1]
	p := abtest.Pair(first.Samples, b.Arm, second.Samples, b.OtherArm)
	out := Shown{
		A: fmt.Sprintf("%s %s", found.Names[0], b.Arm), B: fmt.Sprintf("%s %s", found.Names[1], b.OtherArm), Runs: found.Runs,
		Facts: facts(first, int(b.Arm[0]-'A'), second, int(b.OtherArm[0]-'A')),
		Rows:  len(p.Samples), OnlyA: p.OnlyA, OnlyB: p.OnlyB, Relabelled: p.Relabelled,
	}
	if abtest.Judged(p.Samples) {
		out.Inference = infer(p.Samples, second)
	}
	return out, nil
}

// infer is what the rows show by the design of a test.
func infer(samples []experiments.Sample, of *experiments.ABResult) *experiments.Inference {
	design := experiments.DefaultDesign()
	if of.Inference != nil {
		design = of.Inference.Design
	}
	return abtest.Infer(samples, abtest.Units(samples, design.Unit), design, 1)
}

func facts(a *experiments.ABResult, armA int, b *experiments.ABResult, armB int) []Fact {
	x, y := a.Arms[armA], b.Arms[armB]
	out := []Fact{
		{"model", x.Model, y.Model}, {"kind", x.Kind, y.Kind}, {"rows", a.Rows, b.Rows},
		{"accuracy", x.Scores.Accuracy, y.Scores.Accuracy}, {"macro_f1", x.Scores.MacroF1, y.Scores.MacroF1},
		{"latency_ms.median", x.Latency.MedianMS, y.Latency.MedianMS}, {"latency_ms.p95", x.Latency.P95MS, y.Latency.P95MS},
	}
	for i, c := range x.PerClass {
		if i < len(y.PerClass) && y.PerClass[i].Label == c.Label {
			out = append(out, Fact{"recall." + c.Label, c.Recall, y.PerClass[i].Recall})
		}
	}
	return append(out, Fact{"device", a.Device, b.Device})
}
