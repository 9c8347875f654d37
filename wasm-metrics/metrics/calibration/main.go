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
	complete := t.Complete(append([]*metric.Column{label}, p...)...)
	gold := label.Int32s()
	var s strip
	for at := 0; at < t.Rows; at += len(s.top) {
		n := min(t.Rows-at, len(s.top))
		s.find(p, at, n)
		for i := range n {
			row := at + i
			if complete != nil && complete[row>>3]>>(row&7)&1 == 0 {
				continue
			}
			highest := math.Float64frombits(uint64(s.top[i]))
			if !(highest >= 0 && highest <= 1) {
				return nil, errors.New("a probability is not between 0 and 1")
			}
			b := min(int(highest*float64(bins)), bins-1)
			d.rows[b]++
			d.confidence[b] += highest
			if int64(gold[row]) == s.best[i] {
				d.right[b]++
			}
		}
	}
	return d, nil
}

// strip is the highest probability of each of some rows, as its bits, and the
// first class that has it. Go's WebAssembly goes through a jump table at each
// branch, so the classes are gone through column by column, four rows at a
// time, and what is compared are the bits: integers are chosen between without
// a branch, and from 0 on they have the order of the numbers. NaN counts as
// above 1.
type strip struct{ top, best [256]int64 }

// find fills the first n of the strip from the rows at on.
func (s *strip) find(p []*metric.Column, at, n int) {
	for i := range s.top {
		s.top[i], s.best[i] = math.MinInt64, 0 // below every number from 0 on
	}
	for c := range p {
		values := p[c].Float64s()[at : at+n]
		class, i := int64(c), 0
		for ; i+4 <= n; i += 4 {
			v, top, best := (*[4]float64)(values[i:]), (*[4]int64)(s.top[i:]), (*[4]int64)(s.best[i:])
			top[0], best[0] = higher(v[0], class, top[0], best[0])
			top[1], best[1] = higher(v[1], class, top[1], best[1])
			top[2], best[2] = higher(v[2], class, top[2], best[2])
			top[3], best[3] = higher(v[3], class, top[3], best[3])
		}
		for ; i < n; i++ {
			s.top[i], s.best[i] = higher(values[i], class, s.top[i], s.best[i])
		}
	}
}

func higher(v float64, class, top, best int64) (int64, int64) {
	if bits := int64(math.Float64bits(v)); bits > top {
		top, best = bits, class
	}
	return top, best
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
