package pipeline

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	comparison "triality/experiments/kinds/abtest"
	"triality/experiments/linearsvm"
	"triality/experiments/naivebayes"
	"triality/experiments/verdict"
	"triality/runtime/disk"
	"triality/runtime/hub"
)

// ABTestOptions configures ABTest.
type ABTestOptions = comparison.Options

// resultsName is the A/B test's result file, and ResultArtifact the artifact that keeps it with the run.
const (
	resultsName    = comparison.ResultsName
	ResultArtifact = comparison.ResultArtifact
)

// ABTest evaluates both models on every row and compares them.
func (e *Engine) ABTest(ctx context.Context, o ABTestOptions, sink Sink) (*experiments.ABResult, error) {
	if o.Test.Design.Primary == "" { // nothing was designed
		o.Test.Design = experiments.DefaultDesign()
	}
	if err := e.checkModules(ctx, o.Modules, !o.Test.Generate.IsZero()); err != nil {
		return nil, err
	}
	set, err := readTestSet(ctx, o, sink)
	if err != nil {
		return nil, err
	}
	rows := set.rows
	units, err := unitsOf(rows, o.Test.Design.Unit)
	if err != nil {
		return nil, err
	}
	var sources [2]Source
	for i, name := range []string{o.ModelA, o.ModelB} {
		if sources[i], err = e.Locate(ctx, name, hub.ModelFiles, sink); err != nil {
			return nil, err
		}
	}
	verdicts, apart, err := e.evaluate(ctx, sources, rows, o, sink)
	if err != nil {
		return nil, err
	}
	r := compare(rows, verdicts, o)
	r.Environment = maps.Clone(o.Environment)
	if apart {
		if r.Environment == nil {
			r.Environment = map[string]string{}
		}
		r.Environment["arms"] = "one after the other: the device does not hold both models at once"
	}
	r.TestSet = &set.facts
	floors, err := baselines(ctx, set.train, rows)
	if err != nil {
		return nil, trainError(err)
	}
	for _, f := range floors {
		r.Baselines = append(r.Baselines, f.Baseline)
	}
	if r.Others, err = e.otherArms(ctx, rows, o, sources[1], floors, sink); err != nil {
		return nil, err
	}
	r.Inference = abtest.Infer(r.Samples, units, o.Test.Design, o.Seed)
	r.Inference.Tainted = set.facts.InTraining
	beside, err := others(r)
	if err != nil {
		return nil, err
	}
	r.Inference.Contrasts = abtest.Contrasts([][]experiments.Sample{r.Samples}, beside, units, o.Test.Design, o.Seed)
	r.Inference.Looks = countLook(ctx, o, r, sink)
	verdict.Decide(r.Inference)
	r.Differences = differences(r, abtest.Timings{A: verdicts[0].ms, B: verdicts[1].ms}, o)
	r.Device = e.Device.Info().String()
	for _, m := range o.Modules {
		result := e.EvaluateModule(ctx, m, r)
		if result.Error != "" {
			sink.Note(fmt.Sprintf("metric %s: %s", result.Name, result.Error))
		}
		r.Metrics = append(r.Metrics, result)
	}
	if err := ctx.Err(); err != nil {
		return nil, trainError(err)
	}
	if err := disk.MkdirAll(o.OutDir, 0o755); err != nil {
		return nil, fmt.Errorf("abtest: %w", err)
	}
	return r, graph.WriteJSON(filepath.Join(o.OutDir, resultsName), r)
}

// compare computes every figure of the two arms' answers.
func compare(rows []dataset.Row, arms [2]answered, o ABTestOptions) *experiments.ABResult {
	k := len(experiments.Labels)
	gold := make([]int, len(rows))
	var predicted [2][]int
	latency := [2][]float64{abtest.MedianOfRows(arms[0].ms), abtest.MedianOfRows(arms[1].ms)}
	r := &experiments.ABResult{Rows: len(rows), Warmup: min(o.Test.Warmup, len(rows)), TimingPasses: len(arms[0].ms)}
	for i := range rows {
		gold[i] = experiments.LabelIndex(rows[i].Label)
		for a := range arms {
			predicted[a] = append(predicted[a], arms[a].answers[i].class)
		}
		r.Samples = append(r.Samples, experiments.Sample{
			Index: i, Group: rows[i].Group, Text: rows[i].Text(), Language: rows[i].Language, Domain: rows[i].Domain, Label: rows[i].Label,
			PredictionA: experiments.Labels[arms[0].answers[i].class], PredictionB: experiments.Labels[arms[1].answers[i].class],
			ProbabilityA: arms[0].answers[i].probability, ProbabilityB: arms[1].answers[i].probability,
			LatencyAMS: latency[0][i], LatencyBMS: latency[1][i],
			Instruction: rows[i].Instruction, Reference: rows[i].Output, Columns: ownColumns(&rows[i]),
		})
	}
	withTexts(r.Samples, arms)
	for a := range arms {
		confusion := abtest.Confusion(gold, predicted[a], k)
		r.Arms[a] = experiments.ArmResult{
			Name: string(rune('A' + a)), Model: arms[a].name, Kind: arms[a].kind, Heads: arms[a].heads, Calibration: arms[a].calibration,
			Scores: abtest.Score(gold, predicted[a], k), Latency: abtest.Latencies(arms[a].ms),
			Confusion: confusion, PerClass: abtest.PerClass(confusion, experiments.Labels),
		}
	}
	r.McNemar = abtest.McNemar(gold, predicted[0], predicted[1])
	return r
}

// floor is a baseline with its answers.
type floor struct {
	experiments.Baseline
	predicted []int
}

// baselines are the floors on the same rows: the commonest training label, and a naive Bayes and a linear model on
// character n-grams trained on the training rows. Without training rows there are none.
func baselines(ctx context.Context, train, test []dataset.Row) ([]floor, error) {
	if len(train) == 0 {
		return nil, nil
	}
	texts, labels, gold := make([]string, len(train)), make([]int, len(train)), make([]int, len(test))
	for i := range train {
		texts[i], labels[i] = train[i].Text(), experiments.LabelIndex(train[i].Label)
	}
	k := len(experiments.Labels)
	nb, common := naivebayes.Train(texts, labels, k), abtest.Commonest(labels, k)
	svm, err := linearsvm.Train(ctx, texts, labels, k)
	if err != nil {
		return nil, err
	}
	out := []floor{
		{Baseline: experiments.Baseline{Name: experiments.FloorMajority, Detail: "always the commonest training label"}},
		{Baseline: experiments.Baseline{Name: experiments.FloorBayes, Detail: "character 2–4-grams, trained on the train split"}},
		{Baseline: experiments.Baseline{Name: experiments.FloorLinear, Detail: "character 1–5-grams by tf-idf, linear support vector machine, trained on the train split"}},
	}
	for i := range test {
		text := test[i].Text()
		gold[i] = experiments.LabelIndex(test[i].Label)
		for f, answer := range []int{common, nb.Predict(text), svm.Predict(text)} {
			out[f].predicted = append(out[f].predicted, answer)
		}
	}
	for f := range out {
		out[f].Scores = abtest.Score(gold, out[f].predicted, k)
	}
	return out, nil
}

// ReadABResult reads the result file of an A/B test's folder.
func ReadABResult(dir string) (*experiments.ABResult, error) {
	r := new(experiments.ABResult)
	if err := graph.ReadJSON(filepath.Join(dir, resultsName), r); err != nil {
		return nil, fmt.Errorf("read A/B result: %w", err)
	}
	return r, nil
}
