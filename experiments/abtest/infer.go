package abtest

import (
	"math"
	"strings"

	"triality/experiments"
	"triality/experiments/calibration"
	"triality/experiments/inference"
)

// Infer says what the rows of an A/B test show by its design. units are what each row belongs to, one a sample; a row
// with an empty one stands for itself. Every label and prediction is one of experiments.Labels. The verdict is left to
// package verdict.
func Infer(samples []experiments.Sample, units []string, d experiments.Design, seed uint64) *experiments.Inference {
	return InferTrainings([][]experiments.Sample{samples}, units, d, seed)
}

// InferTrainings is Infer for arms that were trained several times: trainings has the answers of each to the same rows, in
// the same order. Figures are over all of them, intervals over seeds, rows and units together.
func InferTrainings(trainings [][]experiments.Sample, units []string, d experiments.Design, seed uint64) *experiments.Inference {
	samples := trainings[0]
	t := newTable(trainings, units)
	out := &experiments.Inference{
		Design: d, DesignHash: d.Hash(), Level: d.Level(), Rows: len(samples), Clusters: t.clusters.Count, Largest: t.clusters.Largest() / len(trainings),
	}
	done := map[string]bool{}
	var noises []*inference.Noise // of the comparisons
	add := func(metric, role, claim string, margin float64) {
		if done[metric] {
			return
		}
		done[metric] = true
		c, noise := t.compare(metric, d, seed)
		c.Role, c.Claim, c.Margin = role, claim, margin
		out.Comparisons, noises = append(out.Comparisons, c), append(noises, noise)
	}
	add(d.Primary, experiments.RolePrimary, d.Claim, d.Margin)
	for _, g := range d.Guardrails {
		add(g.Metric, experiments.RoleGuardrail, experiments.ClaimNonInferiority, g.Margin)
	}
	decided := len(out.Comparisons)
	for _, metric := range experiments.InferenceMetrics() {
		if metric != "log_loss" || t.probabilities {
			add(metric, experiments.RoleSecondary, "", 0)
		}
	}
	var p []float64
	for _, c := range out.Comparisons[decided:] {
		p = append(p, c.P)
	}
	for i, v := range inference.Holm(p) {
		out.Comparisons[decided+i].Adjusted = v
	}
	for i := range out.Comparisons {
		settle(&out.Comparisons[i], noises[i], out, i < decided)
	}
	return out
}

// settle fills in what follows from a comparison's interval and the design.
func settle(c *experiments.Comparison, noise *inference.Noise, of *experiments.Inference, decides bool) {
	up := c.Better == "higher"
	i := inference.Interval{Low: float64(c.Delta.Low), High: float64(c.Delta.High)}
	alpha := 1 - of.Level
	delta := float64(c.Delta.Value)
	c.Reading = experiments.ReadingNoClear
	if p := c.Adjusted; p < alpha && !i.Has(0) {
		c.Reading = experiments.ReadingWorse
		if delta > 0 == up {
			c.Reading = experiments.ReadingBetter
		}
	}
	// What the interval's width comes to as a standard error: the small-sample methods are wider than theirs.
	spread := (i.High - i.Low) / 2 / inference.Normal(1-alpha/2)
	c.Smallest = experiments.Real((inference.Normal(1-alpha/2) + inference.Normal(of.Design.Power)) * spread)
	if !decides {
		return
	}
	c.Finding = string(inference.Judge(inference.Claim(c.Claim), i, c.Margin, up))
	if c.Finding != experiments.FindingOpen {
		return
	}
	if !up {
		delta = -delta
	}
	gap := delta - c.Margin
	switch c.Claim {
	case experiments.ClaimNonInferiority:
		gap = delta + c.Margin
	case experiments.ClaimEquivalence:
		gap = c.Margin - math.Abs(delta)
	}
	if noise != nil {
		c.MoreRows, c.Trainings.MoreTrainings = noise.More(of.Rows, gap, alpha, of.Design.Power)
		return
	}
	c.MoreRows = inference.MoreRows(of.Rows, gap, spread, alpha, of.Design.Power)
}

// table is the rows of a test as numbers.
type table struct {
	gold, a, b    []int
	lossA, lossB  []float64
	probabilities bool // every row has those of both arms
	clusters      inference.Clusters
	trainings     inference.Trainings // of more than one; else of none
}

func newTable(trainings [][]experiments.Sample, units []string) *table {
	t := &table{clusters: inference.ClustersOf(units), probabilities: len(units) > 0}
	if n := len(trainings); n > 1 {
		t.clusters, t.trainings = t.clusters.Repeat(n)
	}
	for _, samples := range trainings {
		for i := range samples {
			t.add(&samples[i])
		}
	}
	return t
}

func (t *table) add(s *experiments.Sample) {
	g := experiments.LabelIndex(s.Label)
	t.gold, t.a, t.b = append(t.gold, g), append(t.a, experiments.LabelIndex(s.PredictionA)), append(t.b, experiments.LabelIndex(s.PredictionB))
	if g >= len(s.ProbabilityA) || g >= len(s.ProbabilityB) {
		t.probabilities = false
		return
	}
	t.lossA, t.lossB = append(t.lossA, calibration.LogLoss(s.ProbabilityA[g])), append(t.lossB, calibration.LogLoss(s.ProbabilityB[g]))
}

// share is a metric that says how many of some rows meet a condition.
type share struct {
	of    func(gold int) bool
	meets func(gold, answer int) bool
}

const allow, escalation, deny, refuse = 0, 1, 2, 3 // in experiments.Labels

func unsafe(class int) bool { return class == deny || class == refuse }

func shareOf(metric string) (share, bool) {
	right := func(gold, answer int) bool { return gold == answer }
	switch metric {
	case "accuracy":
		return share{func(int) bool { return true }, right}, true
	case "false_allow": // as the metric module of that name
		return share{unsafe, func(_, answer int) bool { return answer == allow }}, true
	case "over_refusal":
		return share{func(g int) bool { return g == allow || g == escalation }, func(_, answer int) bool { return unsafe(answer) }}, true
	}
	if label, ok := strings.CutPrefix(metric, "recall."); ok {
		class := experiments.LabelIndex(label)
		return share{func(g int) bool { return g == class }, right}, true
	}
	return share{}, false
}

// SharesAlone says whether a metric is a share of rows, of which a test may be looked at often.
func SharesAlone(metric string) bool {
	_, ok := shareOf(metric)
	return ok
}

// compare computes one metric of both arms, and what their trainings show of it where there are several.
func (t *table) compare(metric string, d experiments.Design, seed uint64) (experiments.Comparison, *inference.Noise) {
	level := d.Level()
	c := experiments.Comparison{Metric: metric, Better: "higher"}
	if experiments.LowerIsBetter(metric) {
		c.Better = "lower"
	}
	var diff inference.Difference
	var arms [2]experiments.Estimate
	s, isShare := shareOf(metric)
	switch {
	case isShare:
		shares, rows := t.shares(s)
		diff = shares.Difference(level, seed)
		c.Method = "Tango's score interval on effective rows; sign flips by cluster"
		if d.Looks == experiments.LooksAny && len(rows) > 0 {
			diff.Interval, diff.P = sequence(shares, level)
			diff.Exact = false
			c.Method = "confidence sequence by betting"
		}
		for a, meets := range [][]bool{shares.A, shares.B} {
			_, i := inference.Rate(meets, shares.Clusters, shares.Trainings, level)
			between(&arms[a], i)
		}
	case metric == "log_loss":
		diff = inference.MeanDifference(t.lossA, t.lossB, t.clusters, t.trainings, level, seed)
		for a, losses := range [][]float64{t.lossA, t.lossB} {
			_, _, i := inference.Mean(losses, t.clusters, t.trainings, level)
			between(&arms[a], i)
		}
		c.Method = "mean with an error robust to clusters and Student's t; sign flips by cluster"
	default:
		f := t.figure(metric)
		diff = f.Difference(level, seed)
		diff.Effective = math.NaN()
		for a := range arms {
			_, i := f.Arm(a == 1, level)
			between(&arms[a], i)
		}
		c.Method = "jackknife by cluster with half a row for each arm and Student's t; exchange of the arms by cluster"
	}
	c.A, c.B = arms[0], arms[1]
	fill(&c, diff)
	if n := t.trainings.Count; n > 1 {
		c.Rows /= n // each training answered them
		c.Effective = experiments.Real(math.NaN())
		if diff.Noise != nil {
			c.Method += "; the seeds' part by the spread of the trainings"
			c.Trainings = t.noise(metric, diff)
		}
	}
	return c, diff.Noise
}

// figure is macro-F1, or precision of a class.
func (t *table) figure(metric string) *inference.Figures {
	answers := inference.Answers{Gold: t.gold, A: t.a, B: t.b, Classes: len(experiments.Labels), Clusters: t.clusters, Trainings: t.trainings}
	if label, ok := strings.CutPrefix(metric, "precision."); ok {
		return answers.Precision(experiments.LabelIndex(label))
	}
	return answers.MacroF1()
}

func (t *table) shares(s share) (out inference.Shares, rows []int) {
	for i, g := range t.gold {
		if s.of(g) {
			rows = append(rows, i)
			out.A, out.B = append(out.A, s.meets(g, t.a[i])), append(out.B, s.meets(g, t.b[i]))
		}
	}
	out.Clusters, out.Trainings = t.clusters.Select(rows), t.trainings.Select(rows)
	return out, rows
}

// sequence watches the clusters in the order in which they come.
func sequence(s inference.Shares, level float64) (inference.Interval, float64) {
	d := make([]float64, len(s.A))
	for i := range d {
		switch {
		case s.B[i] && !s.A[i]:
			d[i] = 1
		case s.A[i] && !s.B[i]:
			d[i] = -1
		}
	}
	seq, sizes := inference.NewSequence(s.Clusters.Largest(), 0), s.Clusters.Sizes()
	for k, sum := range s.Clusters.Sums(d) {
		seq.Observe(sum, sizes[k])
	}
	i, p := seq.Interval(level), seq.P()
	if p >= 1-level { // the two agree, but for rounding
		i = inference.Interval{Low: math.Min(i.Low, 0), High: math.Max(i.High, 0)}
	} else if i.Has(0) {
		p = 1 - level
	}
	return i, p
}

func fill(c *experiments.Comparison, d inference.Difference) {
	c.Rows, c.Clusters, c.Effective = d.Rows, d.Clusters, experiments.Real(d.Effective)
	c.A.Value, c.B.Value, c.Delta.Value, c.Error = experiments.Real(d.A), experiments.Real(d.B), experiments.Real(d.Delta), experiments.Real(d.SE)
	c.P, c.Adjusted, c.Exact = d.P, d.P, d.Exact
	between(&c.Delta, d.Interval)
}

func between(e *experiments.Estimate, i inference.Interval) {
	e.Low, e.High = experiments.Real(i.Low), experiments.Real(i.High)
}
