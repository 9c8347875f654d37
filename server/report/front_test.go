package report

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"triality/experiments"
)

// crowded is a run with much of everything, whose pages before the appendix are three all the same.
func crowded(lang string) experiments.ReportInput {
	in := full(lang)
	long := strings.Repeat("とても長い名前 very long name ", 30)
	in.Run.Name, in.Experiment.Name, in.AB.Device = long, long, long
	in.AB.Arms[0].Model, in.AB.Arms[1].Model = "/models/"+strings.Repeat("a", 200), strings.Repeat("b/", 300)+strings.Repeat("長", 100)
	in.AB.TestSet.Path, in.AB.TestSet.Skipped, in.AB.TestSet.Problems = strings.Repeat("x", 900), 9, []string{long + long}
	in.Data.Files = []string{long, strings.Repeat("f", 400), long}
	for k := range in.Run.Params {
		in.Run.Params[k] = strings.Repeat("v", 300)
	}
	in.Groups = nil
	for i := range 80 {
		name := fmt.Sprint(strings.Repeat("g", i), i)
		in.Groups = append(in.Groups, experiments.GroupScore{By: "language", Value: name, Rows: 9, RightA: 4, RightB: 5}, experiments.GroupScore{By: "domain", Value: name, Rows: 9, RightA: 4, RightB: 5})
		in.Data.Languages[name] = i
		in.AB.Baselines = append(in.AB.Baselines, experiments.Baseline{Name: name, Detail: long})
		in.Series[name+"/loss"] = in.Series["eval/loss"]
	}
	c := in.AB.Inference.Comparisons[1]
	for i := range 30 {
		c.Metric = fmt.Sprint("a_guardrail_with_a_long_name_", i)
		in.AB.Inference.Comparisons = append(in.AB.Inference.Comparisons, c)
		in.AB.Arms[0].PerClass = append(in.AB.Arms[0].PerClass, experiments.ClassScore{Label: c.Metric, F1: 0.5})
		in.AB.Arms[1].PerClass = append(in.AB.Arms[1].PerClass, experiments.ClassScore{Label: c.Metric, F1: 0.6})
	}
	return in
}

func TestWhatDecidesStandsBeforeTheAppendix(t *testing.T) {
	for lang, want := range map[string][]string{
		"en": {"class=\"lead\"", "A · qwen3-0.6b-ft", "B · demo, SO8T", "What decides", "class=\"ival good\"", "guardrail: not worse by 2 points", "F1 by class", "Accuracy by language", "What was trained on what", "Qwen/Qwen3-0.6B", ">Appendix</h2>", "Confusion matrix of", "Disagreements"},
		"ja": {"class=\"lead\"", "A · qwen3-0.6b-ft", "B · demo、SO8T", "判定のもと", "class=\"ival good\"", "クラス別の F1", "言語別の正解率", "何を何で学習したか", ">付録</h2>", "の混同行列", "回答が分かれた行"},
	} {
		page := render(t, full(lang), "x")
		page = page[strings.Index(page, "<main>"):]
		at := 0
		for _, w := range want {
			next := strings.Index(page[at:], w)
			if next < 0 {
				t.Fatalf("%s: %q is not there, or not after what stands before it", lang, w)
			}
			at += next
		}
	}
}

func TestADrawnIntervalSaysWhatItsReadingSays(t *testing.T) {
	drawn := intervalsOf([]experiments.Difference{
		{Metric: "accuracy", Delta: 0.04, Low: 0.01, High: 0.08, Better: "higher"}, {Metric: "false_allow", Delta: 0.04, Low: 0.01, High: 0.08, Better: "lower"},
		{Metric: "macro_f1", Delta: 0.04, Low: 0.01, High: 0.08, Better: "higher", Reading: experiments.ReadingNoClear}, // by its corrected p-value
		{Metric: "accuracy", Delta: 0, Low: -0.01, High: 0.01, Better: "higher"}, {Metric: "accuracy", Low: math.NaN()}, {Metric: "log_loss", Better: "lower"},
	})
	for i, want := range []string{"good", "bad", "open", "open", "", "open"} {
		if got := drawn[i]; (got == nil) != (want == "") || got != nil && got.Tone != want {
			t.Errorf("%d: %+v, want %q", i, got, want)
		}
	}
	if drawn[0].Low == drawn[5].Low || drawn[0].Zero != drawn[3].Zero {
		t.Error("shares have one scale, other metrics their own")
	}
}
