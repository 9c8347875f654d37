package report

import (
	"fmt"
	"html"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/experiments/verdict"
)

// randomResult judges random rows, of one to three trainings and with another arm or without.
func randomResult(rng *rand.Rand) *experiments.ABResult {
	n, trainings := 5+rng.IntN(120), 1+max(0, rng.IntN(5)-2)
	units := make([]string, n)
	gold := make([]string, n)
	for i := range n {
		units[i], gold[i] = fmt.Sprint(i/(1+n%3)), experiments.Labels[rng.IntN(4)]
	}
	answers := func(right float64) (out []string) {
		for i := range n {
			answer := gold[i]
			if rng.Float64() > right {
				answer = experiments.Labels[rng.IntN(4)]
			}
			out = append(out, answer)
		}
		return out
	}
	a, b := rng.Float64(), rng.Float64()
	other := abtest.Other{Name: experiments.FloorLinear}
	var all [][]experiments.Sample
	for range trainings {
		of, with, third := answers(a), answers(b), answers(b)
		var samples []experiments.Sample
		var o experiments.Answers
		for i := range n {
			samples = append(samples, experiments.Sample{Index: i, Text: "row", Label: gold[i], PredictionA: of[i], PredictionB: with[i]})
			o.Predictions = append(o.Predictions, experiments.LabelIndex(third[i]))
		}
		all, other.Answers = append(all, samples), append(other.Answers, o)
	}
	d := experiments.DefaultDesign()
	if rng.IntN(2) == 0 {
		d.Guardrails = []experiments.Guardrail{{Metric: "false_allow", Margin: 0.3}}
	}
	r := &experiments.ABResult{Rows: n, Samples: all[0], Inference: abtest.InferTrainings(all, units, d, 1)}
	for k := range trainings {
		if trainings > 1 {
			r.Inference.Seeds = append(r.Inference.Seeds, uint64(1000+k))
		}
	}
	if rng.IntN(2) == 0 {
		r.Inference.Contrasts = abtest.Contrasts(all, []abtest.Other{other}, units, d, 1)
		r.Others = []experiments.ArmResult{{Name: other.Name, Kind: "baseline"}}
	}
	verdict.Decide(r.Inference)
	r.Arms = [2]experiments.ArmResult{{Name: "A"}, {Name: "B"}}
	r.Baselines = []experiments.Baseline{{Name: experiments.FloorLinear, Scores: experiments.Scores{Accuracy: b}}}
	return r
}

var tableRow = regexp.MustCompile(`(?s)<tr[^>]*>(.*?)</tr>`)

// No sentence or cell of a report contradicts another, whatever the rows, the trainings and the arms.
func TestNoCellOfAReportContradictsItsResult(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	seen := map[string]int{}
	for range 30 {
		ab := randomResult(rng)
		i := ab.Inference
		seen[i.Verdict.Decision]++
		if len(i.Seeds) > 1 {
			seen["trainings"]++
		}
		if len(i.Contrasts) > 0 {
			seen["arms"]++
		}
		for _, lang := range []string{"en", "ja"} {
			in := empty(lang)
			in.AB = ab
			page := html.UnescapeString(render(t, in, "x"))
			b := &builder{in: in, texts: catalogue[lang]}
			for _, said := range append([]string{i.Verdict.Text[lang]}, i.Verdict.Notes[lang]...) {
				if !strings.Contains(page, clip(said, longestRemark)) && said != i.Verdict.Text[lang] || !strings.Contains(page, i.Verdict.Text[lang]) {
					t.Fatalf("%s: the report lacks %q", lang, said)
				}
			}
			for decision, opening := range map[string]string{experiments.DecisionShip: "Ship B", experiments.DecisionKeep: "Do not ship B", experiments.DecisionNotKnown: "Cannot tell"} {
				if lang == "en" && decision != i.Verdict.Decision && strings.Contains(page, opening) {
					t.Errorf("the verdict is %s, and the report says %q", i.Verdict.Decision, opening)
				}
			}
			rows := tableRow.FindAllString(page, -1)
			has := func(what string, parts ...string) {
				t.Helper()
				for _, row := range rows {
					all := true
					for _, p := range parts {
						all = all && strings.Contains(row, p)
					}
					if all {
						return
					}
				}
				t.Errorf("%s: no row of a table has %s: %q", lang, what, parts)
			}
			for k := range i.Comparisons {
				c := &i.Comparisons[k]
				if c.Rows > 0 {
					has("the comparison of "+c.Metric, b.metric(c.Metric), change(c.Metric, float64(c.Delta.Value)), b.readingOf(c.Reading).Text)
				}
			}
			for _, of := range i.Contrasts {
				for k := range of.Comparisons {
					c := &of.Comparisons[k]
					if c.Rows > 0 {
						has("the contrast of "+c.Metric, b.armName(of.To), b.armName(of.From), b.metric(c.Metric), change(c.Metric, float64(c.Delta.Value)), b.standing(c.Reading).Text)
					}
				}
			}
			if c := i.Of("accuracy"); c.Trainings != nil {
				row := []string{b.metric("accuracy")}
				for k, seed := range i.Seeds {
					has("the seed", b.t("trainings.seed", fmt.Sprint(seed)))
					row = append(row, ">"+change("accuracy", float64(c.Trainings.Delta[k]))+"<")
				}
				has("the trainings", row...)
			}
			if floor := strings.Contains(page, "above the best baseline") || strings.Contains(page, "最も良いベースライン"); floor == (len(i.Contrasts) > 0) {
				t.Errorf("%s: with %d contrasts the report says of the floor: %v", lang, len(i.Contrasts), floor)
			}
		}
	}
	for _, what := range []string{experiments.DecisionShip, experiments.DecisionKeep, experiments.DecisionNotKnown, "trainings", "arms"} {
		if seen[what] == 0 {
			t.Errorf("no result was one of %s: %v", what, seen)
		}
	}
}
