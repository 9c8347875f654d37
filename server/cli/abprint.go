package cli

import (
	"fmt"
	"io"
	"math"

	"triality/experiments"
)

// printABResult prints an A/B test as a small table.
func printABResult(w io.Writer, r *experiments.ABResult) {
	fmt.Fprintf(w, "\nA/B test on %d rows (%s)\n", r.Rows, r.Device)
	for _, a := range r.Arms {
		fmt.Fprintf(w, "  %s  %s  (%s)\n", a.Name, a.Model, a.Kind)
	}
	fmt.Fprintf(w, "\n  %-18s %10s %10s %10s   95 %% interval\n", "", "A", "B", "B − A")
	for _, d := range r.Differences {
		fmt.Fprintf(w, "  %-18s %10.4f %10.4f %+10.4f   [%+.4f, %+.4f]\n", d.Metric, d.A, d.B, d.Delta, d.Low, d.High)
	}
	for _, b := range r.Baselines {
		fmt.Fprintf(w, "  %-18s %10.4f            accuracy; macro-F1 %.4f (%s)\n", b.Name, b.Scores.Accuracy, b.Scores.MacroF1, b.Detail)
	}
	fmt.Fprintf(w, "  McNemar: %d rows only A has right, %d only B, p = %.3g\n", r.McNemar.OnlyA, r.McNemar.OnlyB, r.McNemar.PValue)
	for _, a := range r.Arms {
		if a.Heads != nil {
			fmt.Fprintf(w, "  %s's heads: safety %.4f, authority %.4f, their product %.4f (accuracies)\n", a.Name, a.Heads.Safety, a.Heads.Authority, a.Heads.Product.Accuracy)
		}
	}
	labels := experiments.ModuleLabels(r.Metrics)
	for i, m := range r.Metrics {
		printModuleResult(w, labels[i], m)
	}
}

// printModuleResult prints a metric's scalars, or why it gave none, under its label among the others.
func printModuleResult(w io.Writer, label string, m experiments.ModuleResult) {
	if m.Error != "" {
		fmt.Fprintf(w, "  metric %s failed: %s\n", label, m.Error)
		return
	}
	if label == m.Name {
		label += " " + m.Version
	}
	for _, o := range m.Outputs {
		if len(o.Values) != 1 {
			continue
		}
		value := "undefined"
		if !math.IsNaN(o.Values[0]) {
			value = fmt.Sprintf("%.4f", o.Values[0])
		}
		fmt.Fprintf(w, "  %-24s %10s   metric %s\n", o.Name, value, label)
	}
}
