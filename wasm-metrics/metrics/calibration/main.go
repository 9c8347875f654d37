// Calibration measures whether a model's confidence is worth what it says.
package main

import (
	"errors"
	"math"

	"triality.example/metric"
)

const description = `{
  "name": "calibration",
  "version": "1.0.0",
  "description": "Expected calibration error over bins of equal width of the highest class probability, for each arm, with the reliability diagram behind it: per bin the number of rows, the mean confidence and the accuracy, undefined where a bin is empty. Rows without a gold class, or without every probability, are left out.",
  "formula": "ECE = sum over bins b of (n_b / n) * |accuracy_b - confidence_b|; bin of confidence p = min(floor(p * bins), bins - 1)",
  "source": "M. P. Naeini, G. Cooper, M. Hauskrecht, Obtaining well calibrated probabilities using Bayesian binning, AAAI 2015; C. Guo et al., On calibration of modern neural networks, ICML 2017",
  "columns": [
    {"role": "label"},
    {"role": "probability", "arm": "A"},
    {"role": "probability", "arm": "B", "optional": true}
  ],
  "outputs": [
    {"name": "ece.A", "kind": "scalar", "direction": "lower", "arm": "A", "min": 0, "max": 1},
    {"name": "ece.B", "kind": "scalar", "direction": "lower", "arm": "B", "min": 0, "max": 1},
    {"name": "ece.difference", "kind": "scalar", "direction": "lower", "min": -1, "max": 1, "description": "B minus A"},
    {"name": "rows.A", "kind": "vector", "direction": "none", "arm": "A", "min": 0},
    {"name": "rows.B", "kind": "vector", "direction": "none", "arm": "B", "min": 0},
    {"name": "confidence.A", "kind": "vector", "direction": "none", "arm": "A", "min": 0, "max": 1},
    {"name": "confidence.B", "kind": "vector", "direction": "none", "arm": "B", "min": 0, "max": 1},
    {"name": "accuracy.A", "kind": "vector", "direction": "none", "arm": "A", "min": 0, "max": 1},
    {"name": "accuracy.B", "kind": "vector", "direction": "none", "arm": "B", "min": 0, "max": 1}
  ],
  "parameters": [
    {"name": "bins", "type": "integer", "default": 10, "min": 1, "max": 1000, "description": "bins of equal width between 0 and 1"}
  ]
}`

func init() { metric.Register(description, eval) }

func main() {}

func eval(t *metric.Table, r *metric.Results) error {
	bins := int(t.Integer("bins"))
	label := t.Column(metric.Label, metric.Shared)
	var ece [2]float64
	for i, arm := range []struct {
		id   uint32
		name string
	}{{metric.A, "A"}, {metric.B, "B"}} {
		p := t.Columns(metric.Probability, arm.id)
		if len(p) == 0 {
			return nil // arm B is optional; the host sees to arm A
		}
		b, err := sort(t, label, p, bins)
		if err != nil {
			return errors.New("arm " + arm.name + ": " + err.Error())
		}
		ece[i] = b.error()
		r.Scalar("ece."+arm.name, ece[i])
		r.Vector("rows."+arm.name, b.rows)
		r.Vector("confidence."+arm.name, over(b.confidence, b.rows))
		r.Vector("accuracy."+arm.name, over(b.right, b.rows))
	}
	r.Scalar("ece.difference", ece[1]-ece[0])
	return nil
}

// diagram holds sums per bin.
type diagram struct{ rows, confidence, right []float64 }

// sort puts every row with a label and all probabilities into its bin.
func sort(t *metric.Table, label *metric.Column, p []*metric.Column, bins int) (*diagram, error) {
	d := &diagram{make([]float64, bins), make([]float64, bins), make([]float64, bins)}
	for i := range t.Rows {
		best, highest, complete := 0, math.Inf(-1), label.Valid(i)
		for c := range p {
			v := p[c].Float64(i)
			complete = complete && p[c].Valid(i)
			if v > highest {
				best, highest = c, v
			}
		}
		if !complete {
			continue
		}
		if !(highest >= 0 && highest <= 1) {
			return nil, errors.New("a probability is not between 0 and 1")
		}
		b := min(int(highest*float64(bins)), bins-1)
		d.rows[b]++
		d.confidence[b] += highest
		if int(label.Int32(i)) == best {
			d.right[b]++
		}
	}
	return d, nil
}

// error is the expected calibration error; NaN, sent as undefined, without
// rows.
func (d *diagram) error() float64 {
	var n, sum float64
	for b := range d.rows {
		n += d.rows[b]
		sum += math.Abs(d.right[b] - d.confidence[b])
	}
	return sum / n
}

func over(a, b []float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = a[i] / b[i]
	}
	return out
}
