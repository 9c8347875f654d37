package cli

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/abtest"
	decision "triality/experiments/verdict"
)

// The terminal says of random results, of several trainings and with other arms, what the result says.
func TestTheTerminalSaysWhatTheResultSays(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	for range 40 {
		const n = 60
		trainings := 1 + rng.IntN(3)
		right := [3]float64{rng.Float64(), rng.Float64(), rng.Float64()}
		units, all := make([]string, n), make([][]experiments.Sample, trainings)
		o := abtest.Other{Name: "finetuned"}
		for k := range all {
			var third experiments.Answers
			for i := range n {
				label := i * 7 % 4
				answer := func(arm int) int {
					if rng.Float64() < right[arm] {
						return label
					}
					return rng.IntN(4)
				}
				all[k] = append(all[k], experiments.Sample{Index: i, Label: experiments.Labels[label], PredictionA: experiments.Labels[answer(0)], PredictionB: experiments.Labels[answer(1)]})
				third.Predictions = append(third.Predictions, answer(2))
			}
			o.Answers = append(o.Answers, third)
		}
		d := experiments.DefaultDesign()
		r := &experiments.ABResult{Rows: n, Inference: abtest.InferTrainings(all, units, d, 1), Others: []experiments.ArmResult{{Name: "finetuned", Model: "work/tuned"}}}
		for k := range all {
			if trainings > 1 {
				r.Inference.Seeds = append(r.Inference.Seeds, uint64(k+7))
				r.Trainings = append(r.Trainings, experiments.Training{Seed: uint64(k + 7)})
			}
		}
		r.Inference.Contrasts = abtest.Contrasts(all, []abtest.Other{o}, units, d, 1)
		decision.Decide(r.Inference)
		for _, metric := range []string{"accuracy", "false_allow"} {
			c := r.Inference.Of(metric)
			r.Differences = append(r.Differences, experiments.Difference{Metric: metric, A: float64(c.A.Value), B: float64(c.B.Value), Delta: float64(c.Delta.Value), Reading: c.Reading})
		}
		var out bytes.Buffer
		printABResult(&out, r)
		text := out.String()
		want := append([]string{r.Inference.Verdict.Text["en"]}, r.Inference.Verdict.Notes["en"]...)
		for _, of := range r.Inference.Contrasts {
			want = append(want, of.To+" compared with "+of.From)
			for _, c := range of.Comparisons {
				if c.Rows > 0 {
					want = append(want, fmt.Sprintf("%-16s %+10.4f   [%+.4f, %+.4f]  %s\n", c.Metric, float64(c.Delta.Value), float64(c.Delta.Low), float64(c.Delta.High), standings[c.Reading]))
				}
			}
		}
		if c := r.Inference.Of("accuracy"); trainings > 1 {
			line := "  accuracy          "
			for _, v := range c.Trainings.Delta {
				line += fmt.Sprintf(" %+12.4f", float64(v))
			}
			want = append(want, "seed 7", line)
		} else if strings.Contains(text, "seed") {
			t.Errorf("of one training: %s", text)
		}
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Fatalf("the terminal lacks %q:\n%s", w, text)
			}
		}
	}
}
