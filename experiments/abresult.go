package experiments

// ABResult is what the abtest step measured. Matrices and per-class slices follow Labels.
type ABResult struct {
	Rows        int            `json:"rows"`
	TestSet     *TestSet       `json:"test_set,omitempty"`  // nil in results of before it was kept
	Arms        [2]ArmResult   `json:"arms"`                // A, B
	Inference   *Inference     `json:"inference,omitempty"` // nil in results of before there was one
	Differences []Difference   `json:"differences"`
	McNemar     McNemar        `json:"mcnemar"`
	Baselines   []Baseline     `json:"baselines"` // floors: majority class, naive Bayes, linear model
	Metrics     []ModuleResult `json:"metrics"`   // WebAssembly metrics
	Samples     []Sample       `json:"samples,omitempty"`
	Device      string         `json:"device"`
	Warmup      int            `json:"warmup"` // rows evaluated before timing, per arm
	// TimingPasses is how often each row's answer was timed; 0 in results of before it was more than once.
	TimingPasses int               `json:"timing_passes,omitempty"`
	Environment  map[string]string `json:"environment,omitempty"`
	// Trainings are those of the arms, where there were several: Arms' scores, classes and confusion, Inference and Differences are
	// over all of them; Samples, McNemar, Metrics, Heads and latencies are the first's.
	Trainings []Training `json:"trainings,omitempty"`
	// Others are arms beside A and B, which decide nothing; Inference.Contrasts has how they stand to the two.
	Others []ArmResult `json:"others,omitempty"`
}

// Training is one of several trainings of the arms of an A/B test, which answered the same rows.
type Training struct {
	Seed   uint64    `json:"seed"`
	Models [2]string `json:"models"` // A, B; the same in each where an arm is not trained
	Scores [2]Scores `json:"scores"`
}

// ArmResult is one model's figures. A model answers with the label that it holds likeliest as the
// continuation of the prompt.
type ArmResult struct {
	Name      string       `json:"name"`  // "A", "B"
	Model     string       `json:"model"` // folder
	Kind      string       `json:"kind"`  // "hf", "so8t"
	Scores    Scores       `json:"scores"`
	Latency   Latency      `json:"latency"`
	Confusion [][]int      `json:"confusion"` // [gold][predicted]
	PerClass  []ClassScore `json:"per_class"`
	Heads     *HeadScores  `json:"heads,omitempty"` // of an SO8T model
	// Calibration is what was fitted on the validation split before this model's answers were taken; nil: nothing.
	Calibration *Calibration `json:"calibration,omitempty"`
	// Answers are those of an arm beside A and B, whose answers Samples have.
	Answers *Answers `json:"answers,omitempty"`
}

// Answers are an arm's answers to the rows, in the order of Samples.
type Answers struct {
	Predictions   []int       `json:"predictions"`             // in Labels
	Probabilities [][]float64 `json:"probabilities,omitempty"` // per label; none of a floor
}

// HeadScores are what an SO8T model's safety and authority heads get right by themselves, and their
// product as a classifier of the four classes. The arm's own figures are the task head's.
type HeadScores struct {
	Safety    float64 `json:"safety_accuracy"`
	Authority float64 `json:"authority_accuracy"`
	Product   Scores  `json:"product"`
}

// Scores are the headline figures of a classifier on one set.
type Scores struct {
	Accuracy float64 `json:"accuracy"`
	MacroF1  float64 `json:"macro_f1"`
}

// ClassScore is one class's figures; a figure without a denominator is 0, as scikit-learn's default.
type ClassScore struct {
	Label     string  `json:"label"`
	Support   int     `json:"support"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
}

// Latency of one classification, from token ids to class probabilities, in milliseconds, after warm-up, over all timings.
type Latency struct {
	MedianMS float64 `json:"median_ms"`
	P95MS    float64 `json:"p95_ms"`
	MeanMS   float64 `json:"mean_ms"`
}

// Difference is B − A of one figure with its interval: those of Inference's comparisons, and of latencies by a bootstrap of
// blocks of rows. In results of before Inference they are 95 % paired bootstrap intervals of rows (percentile method).
type Difference struct {
	Metric string  `json:"metric"`
	A      float64 `json:"a"`
	B      float64 `json:"b"`
	Delta  float64 `json:"delta"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// Better is "higher" or "lower": which direction is the better one.
	Better    string `json:"better"`
	Resamples int    `json:"resamples"` // 0 where none were drawn
	// Reading is "better", "worse" or "unclear": what a page says of B; empty in results of before Inference.
	Reading string `json:"reading,omitempty"`
}

// McNemar's test on the discordant pairs; exact binomial under 25 of them, else chi-squared with
// continuity correction. It takes rows as independent: the test that decides is Inference's, by cluster.
type McNemar struct {
	OnlyA     int     `json:"only_a"` // rows only A has right
	OnlyB     int     `json:"only_b"`
	Statistic float64 `json:"statistic"`
	PValue    float64 `json:"p_value"`
	Exact     bool    `json:"exact"`
}

// Baseline is a floor computed by the same run on the same split.
type Baseline struct {
	Name   string `json:"name"`
	Scores Scores `json:"scores"`
	Detail string `json:"detail"`
}

// Sample is one held-out row with both arms' answers.
type Sample struct {
	Index        int       `json:"index"`
	Group        string    `json:"group"`
	Text         string    `json:"text"`
	Language     string    `json:"language"`
	Label        string    `json:"label"`
	PredictionA  string    `json:"prediction_a"`
	PredictionB  string    `json:"prediction_b"`
	ProbabilityA []float64 `json:"probability_a"` // per label
	ProbabilityB []float64 `json:"probability_b"`
	LatencyAMS   float64   `json:"latency_a_ms"` // median of the passes
	LatencyBMS   float64   `json:"latency_b_ms"`
	Domain       string    `json:"domain"`

	// Instruction is the row's, which is Text itself where the row has no input; empty in results of before it was kept.
	Instruction string `json:"instruction,omitempty"`
	// Reference is the row's own answer; empty in results of before it was kept.
	Reference string `json:"reference,omitempty"`
	// OutputA and OutputB are what the arms wrote where the test was asked for texts, else nil; LogProbA
	// and LogProbB the natural logarithms of their tokens' probabilities.
	OutputA  *string   `json:"output_a,omitempty"`
	OutputB  *string   `json:"output_b,omitempty"`
	LogProbA []float32 `json:"logprob_a,omitempty"`
	LogProbB []float32 `json:"logprob_b,omitempty"`
	// Columns are the row's fields that the schema does not know, as JSON has them.
	Columns Columns `json:"columns,omitempty"`
}

// Values are what a text may have of a result: "accuracy.B", "accuracy.delta", "rows", "verdict".
func (r *ABResult) Values() map[string]any {
	out := map[string]any{"rows": r.Rows, "device": r.Device}
	for _, d := range r.Differences {
		for name, v := range map[string]float64{"A": d.A, "B": d.B, "delta": d.Delta, "low": d.Low, "high": d.High} {
			out[d.Metric+"."+name] = v
		}
		if d.Reading != "" {
			out[d.Metric+".reading"] = d.Reading
		}
	}
	for _, b := range r.Baselines {
		out["baseline."+b.Name] = b.Scores.Accuracy
	}
	for _, a := range r.Others {
		out["arm."+a.Name] = a.Scores.Accuracy
	}
	if r.Inference != nil {
		out["verdict"] = r.Inference.Verdict.Decision
	}
	return out
}
