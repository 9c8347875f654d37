package pipeline

import (
	"encoding/json"
	"maps"
	"slices"

	"triality/experiments"
	"triality/experiments/dataset"
	"triality/runtime/metricabi"
)

// hostColumns are the extra columns of every test; a field of the rows with such a name is not
// handed over.
var hostColumns = map[string]func(*experiments.Sample) string{
	"language":  func(s *experiments.Sample) string { return s.Language },
	"domain":    func(s *experiments.Sample) string { return s.Domain },
	"reference": func(s *experiments.Sample) string { return s.Reference },
}

// schemaColumns are the schema's own fields by the names they have in the JSONL file.
var schemaColumns = map[string]func(*experiments.Sample) string{
	"four_class_label": func(s *experiments.Sample) string { return s.Label },
	"domain_label":     func(s *experiments.Sample) string { return s.Domain },
	"source_sample":    func(s *experiments.Sample) string { return s.Group },
	"output":           func(s *experiments.Sample) string { return s.Reference },
}

// ownColumns are what a row has beside what a sample names.
func ownColumns(r *dataset.Row) map[string]any {
	out := map[string]any{}
	for _, f := range r.Extra {
		switch f.Kind {
		case dataset.Null:
		case dataset.String:
			out[f.Name] = f.Text
		case dataset.Int, dataset.Float, dataset.Number:
			out[f.Name] = json.Number(f.Text) // every digit
		default:
			out[f.Name] = json.RawMessage(f.Text)
		}
	}
	for name, v := range map[string]string{"safety_label": r.Safety, "thinking_format": r.Thinking} {
		if v != "" {
			out[name] = v
		}
	}
	return out
}

// metricTable lays an A/B test's rows out as the columns that a metric may ask for. Of the rows' own
// fields it has those that needs names, in the dtype that it names.
func metricTable(samples []experiments.Sample, needs []metricabi.Need) (metricabi.Table, error) {
	n := len(samples)
	label := make([]string, n)
	group, text := make([]string, n), make([]string, n)
	for i, s := range samples {
		label[i], group[i], text[i] = s.Label, s.Group, s.Text
	}
	t := metricabi.Table{Rows: n, Columns: []metricabi.Column{
		classColumn(metricabi.RoleLabel, metricabi.ArmShared, label),
		metricabi.StringColumn(metricabi.RoleGroup, metricabi.ArmShared, "", group),
		metricabi.StringColumn(metricabi.RoleText, metricabi.ArmShared, "", text),
	}}
	for _, name := range slices.Sorted(maps.Keys(hostColumns)) {
		if c, ok := textColumn(samples, name, hostColumns[name]); ok || name != "reference" {
			t.Columns = append(t.Columns, c)
		}
	}
	t.Columns = append(t.Columns, metricabi.ClassColumns(experiments.Labels...)...)
	t.Columns = append(t.Columns, metricabi.ArmColumns("A", "B")...)
	for _, a := range sampleArms {
		t.Columns = append(t.Columns, a.columns(samples)...)
	}
	for _, need := range needs {
		if need.Role != metricabi.RoleExtra || need.Arm != metricabi.ArmShared || hostColumns[need.Name] != nil {
			continue
		}
		c, ok, err := ownColumn(samples, need)
		if err != nil {
			return t, err
		}
		if ok {
			t.Columns = append(t.Columns, c)
		}
	}
	return t, nil
}

// classColumn is a column of class ids. What names no class has no value.
func classColumn(role metricabi.Role, arm metricabi.Arm, names []string) metricabi.Column {
	ids, valid := make([]int32, len(names)), make([]bool, len(names))
	for i, name := range names {
		ids[i] = int32(experiments.LabelIndex(name))
		valid[i] = ids[i] >= 0
	}
	c := metricabi.Int32Column(role, arm, "", ids)
	if slices.Contains(valid, false) {
		c.SetValid(valid)
	}
	return c
}

// textColumn is a shared column of text; ok is false where no row has any. A row without a reference has
// no value.
func textColumn(samples []experiments.Sample, name string, of func(*experiments.Sample) string) (c metricabi.Column, ok bool) {
	values, valid := make([]string, len(samples)), make([]bool, len(samples))
	all := true
	for i := range samples {
		values[i] = of(&samples[i])
		valid[i] = values[i] != "" || name != "reference"
		all, ok = all && valid[i], ok || values[i] != ""
	}
	c = metricabi.StringColumn(metricabi.RoleExtra, metricabi.ArmShared, name, values)
	if !all {
		c.SetValid(valid)
	}
	return c, ok
}

// sampleArm reads one arm's part of a sample.
type sampleArm struct {
	arm         metricabi.Arm
	prediction  func(*experiments.Sample) string
	probability func(*experiments.Sample) []float64
	latency     func(*experiments.Sample) float64
	output      func(*experiments.Sample) *string
	logProbs    func(*experiments.Sample) []float32
}

var sampleArms = []sampleArm{
	{
		metricabi.ArmA,
		func(s *experiments.Sample) string { return s.PredictionA }, func(s *experiments.Sample) []float64 { return s.ProbabilityA },
		func(s *experiments.Sample) float64 { return s.LatencyAMS }, func(s *experiments.Sample) *string { return s.OutputA },
		func(s *experiments.Sample) []float32 { return s.LogProbA },
	},
	{
		metricabi.ArmB,
		func(s *experiments.Sample) string { return s.PredictionB }, func(s *experiments.Sample) []float64 { return s.ProbabilityB },
		func(s *experiments.Sample) float64 { return s.LatencyBMS }, func(s *experiments.Sample) *string { return s.OutputB },
		func(s *experiments.Sample) []float32 { return s.LogProbB },
	},
}

// columns are what the arm said of every row. It has an output where the test had it write.
func (a *sampleArm) columns(samples []experiments.Sample) []metricabi.Column {
	n := len(samples)
	prediction, ms := make([]string, n), make([]float64, n)
	output, wrote, some := make([]string, n), make([]bool, n), false
	logProbs := make([][]float64, n)
	probability, complete := make([][]float64, len(experiments.Labels)), make([]bool, n)
	for c := range probability {
		probability[c] = make([]float64, n)
	}
	for i := range samples {
		s := &samples[i]
		prediction[i], ms[i] = a.prediction(s), a.latency(s)
		p := a.probability(s)
		if complete[i] = len(p) == len(probability); complete[i] { // a client may have stored fewer
			for c := range probability {
				probability[c][i] = p[c]
			}
		}
		if text := a.output(s); text != nil {
			output[i], wrote[i], some = *text, true, true
			for _, v := range a.logProbs(s) {
				logProbs[i] = append(logProbs[i], float64(v))
			}
		}
	}
	out := []metricabi.Column{classColumn(metricabi.RolePrediction, a.arm, prediction)}
	if some {
		texts := metricabi.StringColumn(metricabi.RoleOutput, a.arm, "", output)
		lists := metricabi.Float64ListColumn(metricabi.RoleTokenLogProb, a.arm, "", logProbs)
		if slices.Contains(wrote, false) {
			texts.SetValid(wrote)
			lists.SetValid(wrote)
		}
		out = append(out, texts, lists)
	}
	out = append(out, metricabi.Float64Column(metricabi.RoleLatency, a.arm, "", ms))
	for c, name := range experiments.Labels {
		p := metricabi.Float64Column(metricabi.RoleProbability, a.arm, name, probability[c])
		if slices.Contains(complete, false) {
			p.SetValid(complete)
		}
		out = append(out, p)
	}
	return out
}
