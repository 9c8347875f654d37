package cli

import (
	"fmt"
	"io"
	"math"
	"strings"

	"triality/experiments"
	"triality/runtime/printable"
)

// printABResult prints an A/B test as a small table.
func printABResult(w io.Writer, r *experiments.ABResult) {
	fmt.Fprintf(w, "\nA/B test on %d rows (%s)\n%s\n", r.Rows, r.Device, r.TestSet.Sentence())
	if t := r.TestSet; t != nil && t.Skipped > 0 {
		fmt.Fprintf(w, "%d bad lines of the test data were skipped, the first: %s\n", t.Skipped, t.FirstProblem())
	}
	printVerdict(w, r)
	fmt.Fprintln(w)
	for _, a := range r.Arms {
		fmt.Fprintf(w, "  %s  %s  (%s)\n", a.Name, printable.Line(a.Model), a.Kind)
	}
	fmt.Fprintf(w, "\n  %-18s %10s %10s %10s   %g %% interval\n", "", "A", "B", "B − A", intervalLevel(r))
	for _, d := range r.Differences {
		fmt.Fprintf(w, "  %-18s %10.4f %10.4f %+10.4f   [%+.4f, %+.4f]  %s\n", d.Metric, d.A, d.B, d.Delta, d.Low, d.High, readings[d.Reading])
	}
	printTrainings(w, r)
	for _, b := range r.Baselines {
		fmt.Fprintf(w, "  %-18s %10.4f            accuracy; macro-F1 %.4f (%s)\n", b.Name, b.Scores.Accuracy, b.Scores.MacroF1, printable.Line(b.Detail))
	}
	for _, a := range r.Others {
		fmt.Fprintf(w, "  %-18s %10.4f            accuracy; macro-F1 %.4f (%s)\n", printable.Line(a.Name), a.Scores.Accuracy, a.Scores.MacroF1, printable.Line(a.Model))
	}
	printContrasts(w, r)
	p := ""
	if r.Inference != nil {
		if c := r.Inference.Of("accuracy"); c != nil {
			p = fmt.Sprintf("; accuracy by cluster: p = %.3g", c.P)
		}
	}
	fmt.Fprintf(w, "  %d rows only A has right, %d only B%s\n", r.McNemar.OnlyA, r.McNemar.OnlyB, p)
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

// printTrainings prints what each training gave, and how much of the error is the seeds' and the rows'.
func printTrainings(w io.Writer, r *experiments.ABResult) {
	if r.Inference == nil || len(r.Trainings) == 0 {
		return
	}
	fmt.Fprintf(w, "  B − A of each training:\n  %-18s", "")
	for _, t := range r.Trainings {
		fmt.Fprintf(w, " %12s", fmt.Sprintf("seed %d", t.Seed))
	}
	fmt.Fprintf(w, "   standard error: seeds, rows\n")
	for _, c := range r.Inference.Comparisons {
		if c.Trainings == nil || c.Role == experiments.RoleSecondary && strings.Contains(c.Metric, ".") {
			continue
		}
		fmt.Fprintf(w, "  %-18s", c.Metric)
		for _, d := range c.Trainings.Delta {
			fmt.Fprintf(w, " %+12.4f", float64(d))
		}
		fmt.Fprintf(w, "   %.4f, %.4f\n", float64(c.Trainings.SeedError), float64(c.Trainings.RowError))
	}
}

// printContrasts prints how arms beside A and B stand to the two.
func printContrasts(w io.Writer, r *experiments.ABResult) {
	if r.Inference == nil {
		return
	}
	for _, of := range r.Inference.Contrasts {
		fmt.Fprintf(w, "  %s compared with %s:\n", printable.Line(of.To), printable.Line(of.From))
		for _, c := range of.Comparisons {
			if c.Rows > 0 {
				fmt.Fprintf(w, "    %-16s %+10.4f   [%+.4f, %+.4f]  %s\n", c.Metric, float64(c.Delta.Value), float64(c.Delta.Low), float64(c.Delta.High), standings[c.Reading])
			}
		}
	}
}

// standings are what a difference says of the arm that is compared with another.
var standings = map[string]string{experiments.ReadingBetter: "better", experiments.ReadingWorse: "worse", experiments.ReadingNoClear: "no clear difference"}

// readings are what a difference says of B; of a metric that decides nothing, after Holm's correction.
var readings = map[string]string{experiments.ReadingBetter: "B is better", experiments.ReadingWorse: "B is worse", experiments.ReadingNoClear: "no clear difference"}

// intervalLevel is the confidence of the intervals in percent.
func intervalLevel(r *experiments.ABResult) float64 {
	if r.Inference == nil {
		return 95
	}
	return math.Round(1e6*r.Inference.Level) / 1e4
}

// printVerdict prints what follows for B, and what to know beside it.
func printVerdict(w io.Writer, r *experiments.ABResult) {
	if r.Inference == nil {
		return
	}
	v := r.Inference.Verdict
	fmt.Fprintf(w, "\n%s\n", printable.Line(v.Text["en"]))
	for _, n := range v.Notes["en"] {
		fmt.Fprintf(w, "  %s\n", printable.Line(n))
	}
}

// printModuleResult prints a metric's scalars, or why it gave none, under its label among the others; and
// what it had to say.
func printModuleResult(w io.Writer, label string, m experiments.ModuleResult) {
	name := printable.Line(label)
	if label == m.Name {
		label += " " + m.Version
	}
	label = printable.Line(label)
	switch {
	case m.System:
		fmt.Fprintf(w, "  metric %s could not be run here: %s\n", label, printable.Line(m.Error))
	case m.Error != "":
		fmt.Fprintf(w, "  metric %s failed: %s\n", name, printable.Line(m.Error))
	}
	for _, o := range m.Outputs {
		printOutput(w, o, "metric "+label)
	}
	for _, s := range m.Slices {
		what := fmt.Sprintf("metric %s, %s %q, %d rows", label, printable.Line(s.By), s.Value, s.Rows)
		if s.Error != "" {
			fmt.Fprintf(w, "  %s: %s\n", what, printable.Line(s.Error))
		}
		for _, o := range s.Outputs {
			printOutput(w, o, what)
		}
	}
	printLog(w, m.Log)
	for _, n := range m.Notes {
		fmt.Fprintf(w, "  note: %s\n", printable.Line(n))
	}
}

// printLog prints what a metric wrote so that none of it looks like a line of ours.
func printLog(w io.Writer, log string) {
	if log == "" {
		return
	}
	fmt.Fprintln(w, "  it wrote:")
	for line := range strings.Lines(log) {
		fmt.Fprintf(w, "    | %s\n", printable.Text(strings.TrimRight(line, "\r\n")))
	}
}

// printOutput prints what has a value of its own, with its interval, and each group's.
func printOutput(w io.Writer, o experiments.MetricOutput, what string) {
	switch {
	case o.Groups != nil:
		for i, g := range o.Groups {
			fmt.Fprintf(w, "  %-24s %10s   %s\n", printable.Line(o.Name+" "+g), valueText(o, i), what)
		}
	case len(o.Values) == o.Width() && o.Kind != "column" && o.Kind != "vector":
		fmt.Fprintf(w, "  %-24s %10s   %s\n", printable.Line(o.Name), valueText(o, 0), what)
	}
}

// valueText is the value of group i, or the only one, and the interval behind it where there is one.
func valueText(o experiments.MetricOutput, i int) string {
	v := o.Of(i)
	one := func(v float64) string {
		if math.IsNaN(v) {
			return "undefined"
		}
		return fmt.Sprintf("%.4f", v)
	}
	if len(v) == 1 {
		return one(v[0])
	}
	return fmt.Sprintf("%s [%s, %s] (%g %%)", one(v[0]), one(v[1]), one(v[2]), 100*o.Level)
}
