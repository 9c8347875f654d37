package abtest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"triality/experiments"
)

// Keys gives each sample the key by which the same row is known in other tests: a hash of its group, text, language and
// domain. What a test has twice has a number after it from the second on, in the order of the rows.
func Keys(samples []experiments.Sample) []string {
	out, seen := make([]string, len(samples)), make(map[string]int, len(samples))
	for i := range samples {
		s := &samples[i]
		h := sha256.New()
		for _, part := range []string{s.Group, s.Text, s.Language, s.Domain} {
			fmt.Fprintf(h, "%d %s", len(part), part)
		}
		k := hex.EncodeToString(h.Sum(nil)[:12])
		if seen[k]++; seen[k] > 1 {
			out[i] = fmt.Sprintf("%s-%d", k, seen[k])
			continue
		}
		out[i] = k
	}
	return out
}

// Answer is what one arm made of a sample.
type Answer struct {
	Prediction  string
	Probability []float64
	Output      *string
	LogProb     []float32
	LatencyMS   float64
}

// AnswerOf is an arm's answer, of "A" or "B".
func AnswerOf(s *experiments.Sample, arm string) Answer {
	if arm == "A" {
		return Answer{s.PredictionA, s.ProbabilityA, s.OutputA, s.LogProbA, s.LatencyAMS}
	}
	return Answer{s.PredictionB, s.ProbabilityB, s.OutputB, s.LogProbB, s.LatencyBMS}
}

// Paired are the rows that two tests share.
type Paired struct {
	// Samples hold one arm's answers as A and the other's as B; what else they say is the second test's.
	Samples []experiments.Sample
	Keys    []string
	// AtA and AtB are where each row stands in the tests.
	AtA, AtB []int
	// OnlyA and OnlyB count the rows that one test alone has, Relabelled those whose label differs, which are left out.
	OnlyA, OnlyB, Relabelled int
}

// Pair puts the answers of an arm of one test beside those of an arm of another, for each row that both have with the same
// label, in the order of the second.
func Pair(a []experiments.Sample, armA string, b []experiments.Sample, armB string) Paired {
	of := make(map[string]int, len(a))
	for i, k := range Keys(a) {
		of[k] = i
	}
	var out Paired
	for i, k := range Keys(b) {
		at, there := of[k]
		if !there {
			out.OnlyB++
			continue
		}
		delete(of, k)
		if a[at].Label != b[i].Label {
			out.Relabelled++
			continue
		}
		s, first, second := b[i], AnswerOf(&a[at], armA), AnswerOf(&b[i], armB)
		s.PredictionA, s.ProbabilityA, s.OutputA, s.LogProbA, s.LatencyAMS = first.Prediction, first.Probability, first.Output, first.LogProb, first.LatencyMS
		s.PredictionB, s.ProbabilityB, s.OutputB, s.LogProbB, s.LatencyBMS = second.Prediction, second.Probability, second.Output, second.LogProb, second.LatencyMS
		out.Samples, out.Keys = append(out.Samples, s), append(out.Keys, k)
		out.AtA, out.AtB = append(out.AtA, at), append(out.AtB, i)
	}
	out.OnlyA = len(of)
	return out
}

// Units says by a design what each row belongs to, for Infer; an empty one stands for itself.
func Units(samples []experiments.Sample, unit string) []string {
	out := make([]string, len(samples))
	for i := range samples {
		s := &samples[i]
		switch unit {
		case experiments.UnitRow:
		case experiments.UnitSource, "group":
			out[i] = s.Group
		case "language":
			out[i] = s.Language
		case "domain":
			out[i] = s.Domain
		default:
			if v, ok := s.Columns[unit]; ok {
				out[i] = fmt.Sprint(v)
			}
		}
	}
	return out
}

// Judged says whether every label and answer is one of experiments.Labels, so that Infer can say something of them.
func Judged(samples []experiments.Sample) bool {
	for i := range samples {
		for _, l := range []string{samples[i].Label, samples[i].PredictionA, samples[i].PredictionB} {
			if experiments.LabelIndex(l) < 0 {
				return false
			}
		}
	}
	return len(samples) > 0
}
