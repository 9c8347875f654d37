package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/config"
	"triality/experiments/dataset"
	"triality/experiments/naivebayes"
	"triality/runtime/hub"
)

// ABTestOptions configures ABTest.
type ABTestOptions struct {
	ModelA, ModelB string // folders, or "org/name" of the Hub
	TestData       string // a .jsonl file, a dataset folder (its test split), or a folder of jsonl files
	OutDir         string // gets results.json
	Format         string
	MaxLength      int
	Test           config.Test
	Modules        []Module
	Seed           uint64
	Environment    map[string]string // kept with the result; may be nil
}

// resultsName is the A/B test's result file, and ResultArtifact the artifact that keeps it with the run.
const (
	resultsName    = "results.json"
	ResultArtifact = "abtest/results.json"
)

// ABTest evaluates both models on every row, in turn so that a change of the machine's speed meets
// both, and compares them.
func (e *Engine) ABTest(ctx context.Context, o ABTestOptions, sink Sink) (_ *experiments.ABResult, err error) {
	rows, train, err := testRows(o.TestData)
	if err != nil {
		return nil, err
	}
	var arms [2]*arm
	for i, name := range []string{o.ModelA, o.ModelB} {
		source, err := e.Locate(ctx, name, hub.ModelFiles, sink)
		if err != nil {
			return nil, err
		}
		if arms[i], err = openArm(e.Device, e.Storage, source, o.Format, o.MaxLength); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, arms[i].close()) }()
	}
	answers, err := evaluate(ctx, arms, rows, o.Test.Warmup, sink)
	if err != nil {
		return nil, err
	}
	r := compare(rows, arms, answers, o)
	for i, a := range arms {
		if r.Arms[i].Heads, err = a.headScores(ctx, rows); err != nil {
			return nil, err
		}
	}
	r.Environment = o.Environment
	info := e.Device.Info()
	r.Device = fmt.Sprintf("%s, %s, %d threads, %s", info.Name, info.Model, info.Threads, info.SIMD)
	r.Baselines = baselines(train, rows)
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
	if err := os.MkdirAll(o.OutDir, 0o755); err != nil {
		return nil, fmt.Errorf("abtest: %w", err)
	}
	return r, writeJSON(filepath.Join(o.OutDir, resultsName), r)
}

// testRows reads the rows to test on, and the training rows for the baselines where there are any.
func testRows(path string) (test, train []dataset.Row, err error) {
	if exists(filepath.Join(path, "dataset_dict.json")) {
		splits, err := dataset.Open(path)
		if err != nil {
			return nil, nil, err
		}
		s := splits["test"]
		if s == nil || len(s.Rows) == 0 {
			return nil, nil, experiments.Errorf(experiments.CodeInvalid, "dataset %s: the test split is empty; raise data.test_ratio or name test.test_data_path", path)
		}
		if t := splits["train"]; t != nil {
			train = t.Rows
		}
		return s.Rows, train, nil
	}
	rows, err := dataset.Read(path, false)
	return rows.Rows, nil, err
}

// evaluate answers every row with both arms; the arm that goes first alternates.
func evaluate(ctx context.Context, arms [2]*arm, rows []dataset.Row, warmup int, sink Sink) (out [2][]answer, err error) {
	var prompts [2][][]int32
	for a := range arms {
		out[a] = make([]answer, len(rows))
		prompts[a] = make([][]int32, len(rows))
		for i := range rows {
			if prompts[a][i], err = arms[a].prompt(&rows[i]); err != nil {
				return out, err
			}
		}
		// The instruction in front is computed once. The rows themselves are not packed together: each has
		// a latency of its own.
		if err := arms[a].engine.KeepCommon(ctx, prompts[a]); err != nil {
			return out, err
		}
		for i := range min(warmup, len(rows)) {
			if _, err := arms[a].classify(ctx, prompts[a][i]); err != nil {
				return out, err
			}
		}
	}
	start := time.Now()
	for i := range rows {
		if err := ctx.Err(); err != nil {
			return out, trainError(err)
		}
		for k := range arms {
			a := (i + k) % len(arms)
			if out[a][i], err = arms[a].classify(ctx, prompts[a][i]); err != nil {
				return out, err
			}
		}
		if (i+1)%8 == 0 || i+1 == len(rows) {
			sink.Progress(experiments.Progress{Done: int64(i + 1), Total: int64(len(rows)), Unit: "rows", Rate: float64(i+1) / time.Since(start).Seconds()})
		}
	}
	return out, nil
}

// compare computes every figure of the two arms' answers.
func compare(rows []dataset.Row, arms [2]*arm, answers [2][]answer, o ABTestOptions) *experiments.ABResult {
	k := len(experiments.Labels)
	gold := make([]int, len(rows))
	var predicted [2][]int
	var latency [2][]float64
	r := &experiments.ABResult{Rows: len(rows), Warmup: min(o.Test.Warmup, len(rows))}
	for i := range rows {
		gold[i] = experiments.LabelIndex(rows[i].Label)
		for a := range arms {
			predicted[a] = append(predicted[a], answers[a][i].class)
			latency[a] = append(latency[a], answers[a][i].ms)
		}
		r.Samples = append(r.Samples, experiments.Sample{
			Index: i, Group: rows[i].Group, Text: rows[i].Text(), Language: rows[i].Language, Domain: rows[i].Domain, Label: rows[i].Label,
			PredictionA: experiments.Labels[answers[0][i].class], PredictionB: experiments.Labels[answers[1][i].class],
			ProbabilityA: answers[0][i].probability, ProbabilityB: answers[1][i].probability,
			LatencyAMS: answers[0][i].ms, LatencyBMS: answers[1][i].ms,
		})
	}
	for a := range arms {
		confusion := abtest.Confusion(gold, predicted[a], k)
		r.Arms[a] = experiments.ArmResult{
			Name: string(rune('A' + a)), Model: arms[a].name, Kind: arms[a].kind,
			Scores: abtest.Score(gold, predicted[a], k), Latency: abtest.Latencies(latency[a]),
			Confusion: confusion, PerClass: abtest.PerClass(confusion, experiments.Labels),
		}
	}
	r.Differences = abtest.Differences(len(rows), statistics(gold, predicted, latency), o.Test.Resamples, o.Seed)
	r.McNemar = abtest.McNemar(gold, predicted[0], predicted[1])
	return r
}

// statistics lists the figures that get an interval.
func statistics(gold []int, predicted [2][]int, latency [2][]float64) []abtest.Statistic {
	k := len(experiments.Labels)
	pick := func(from []int, rows []int) []int {
		out := make([]int, len(rows))
		for i, r := range rows {
			out[i] = from[r]
		}
		return out
	}
	score := func(a int, of func(experiments.Scores) float64) func([]int) float64 {
		return func(rows []int) float64 { return of(abtest.Score(pick(gold, rows), pick(predicted[a], rows), k)) }
	}
	accuracy := func(s experiments.Scores) float64 { return s.Accuracy }
	macroF1 := func(s experiments.Scores) float64 { return s.MacroF1 }
	median := func(a int) func([]int) float64 {
		return func(rows []int) float64 {
			ms := make([]float64, len(rows))
			for i, r := range rows {
				ms[i] = latency[a][r]
			}
			return abtest.Latencies(ms).MedianMS
		}
	}
	return []abtest.Statistic{
		{Name: "accuracy", Better: "higher", A: score(0, accuracy), B: score(1, accuracy)},
		{Name: "macro_f1", Better: "higher", A: score(0, macroF1), B: score(1, macroF1)},
		{Name: "latency_median_ms", Better: "lower", A: median(0), B: median(1)},
	}
}

// baselines are the floors on the same rows: the commonest training label, and a character n-gram
// naive Bayes trained on the training rows. Without training rows there are none.
func baselines(train, test []dataset.Row) []experiments.Baseline {
	if len(train) == 0 {
		return nil
	}
	texts, labels, gold, guess := make([]string, len(train)), make([]int, len(train)), make([]int, len(test)), make([]int, len(test))
	for i := range train {
		texts[i], labels[i] = train[i].Text(), experiments.LabelIndex(train[i].Label)
	}
	k := len(experiments.Labels)
	nb := naivebayes.Train(texts, labels, k)
	for i := range test {
		gold[i], guess[i] = experiments.LabelIndex(test[i].Label), nb.Predict(test[i].Text())
	}
	return []experiments.Baseline{
		{Name: "majority", Scores: abtest.Majority(labels, gold, k), Detail: "always the commonest training label"},
		{Name: "naive_bayes", Scores: abtest.Score(gold, guess, k), Detail: "character 2–4-grams, trained on the train split"},
	}
}

// ReadABResult reads the result file of an A/B test's folder.
func ReadABResult(dir string) (*experiments.ABResult, error) {
	r := new(experiments.ABResult)
	if err := readJSON(filepath.Join(dir, resultsName), r); err != nil {
		return nil, fmt.Errorf("read A/B result: %w", err)
	}
	return r, nil
}
