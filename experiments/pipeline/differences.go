package pipeline

import (
	"strings"

	"triality/experiments"
	"triality/experiments/abtest"
)

// differences are the figures that stand first on every page: those of the inference over all rows, and latencies.
func differences(r *experiments.ABResult, timings abtest.Timings, o ABTestOptions) []experiments.Difference {
	return append(inferred(r), timings.Differences(r.Inference.Level, o.Test.Resamples, o.Seed)...)
}

// inferred are those of the inference.
func inferred(r *experiments.ABResult) (out []experiments.Difference) {
	for _, metric := range experiments.InferenceMetrics() {
		c := r.Inference.Of(metric)
		if c == nil || strings.Contains(metric, ".") && c.Role == experiments.RoleSecondary || !c.Delta.Bounded() || c.Rows == 0 {
			continue
		}
		out = append(out, experiments.Difference{
			Metric: metric, A: float64(c.A.Value), B: float64(c.B.Value), Delta: float64(c.Delta.Value),
			Low: float64(c.Delta.Low), High: float64(c.Delta.High), Better: c.Better, Reading: c.Reading,
		})
	}
	return out
}
