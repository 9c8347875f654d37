package metricbench

import (
	"math"

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
)

// Peer is a metric in Go: the results of a module over a table it passes
// Select for.
type Peer func(metricabi.Table) []metricabi.Result

// Peers are the metrics that can be measured, by their first output: the Brier
// score of the templates, which takes one arm a call, that of the ready-made
// metrics, which takes both, and the expected calibration error. They stand
// for their kinds: the first two read every probability and write a column,
// the last reads and sums up.
var Peers = map[string]Peer{
	"score.A": func(t metricabi.Table) []metricabi.Result {
		score, rows := brier(t, metricabi.ArmA, false)
		return []metricabi.Result{scalar("score.A", score), column("row.A", rows)}
	},
	"brier.A": func(t metricabi.Table) []metricabi.Result {
		a, rowsA := brier(t, metricabi.ArmA, true)
		b, rowsB := brier(t, metricabi.ArmB, true)
		return []metricabi.Result{scalar("brier.A", a), scalar("brier.B", b), scalar("brier.difference", b-a),
			column("brier_row.A", rowsA), column("brier_row.B", rowsB)}
	},
	"ece.A": calibration,
}

func peerOf(d *metricabi.Description) Peer { return Peers[d.Outputs[0].Name] }

// tablesOf returns what the metric is called with to see both arms.
func tablesOf(d *metricabi.Description, rows int) []metricabi.Table {
	both := *d
	takesB := false
	for _, n := range d.Columns {
		takesB = takesB || n.Arm == metricabi.ArmB
	}
	if !takesB {
		for _, n := range d.Columns {
			if n.Arm == metricabi.ArmA {
				n.Arm = metricabi.ArmB
				both.Columns = append(both.Columns[:len(both.Columns):len(both.Columns)], n)
			}
		}
	}
	t := sandbox.SyntheticTable(&both, rows)
	if takesB {
		return []metricabi.Table{t}
	}
	var arms [2]metricabi.Table
	for arm := range arms {
		arms[arm].Rows = rows
		for _, c := range t.Columns {
			switch c.Arm {
			case metricabi.ArmShared:
			case metricabi.Arm(arm + 1):
				c.Arm = metricabi.ArmA
			default:
				continue
			}
			arms[arm].Columns = append(arms[arm].Columns, c)
		}
	}
	return arms[:]
}

// columns returns the label and an arm's probabilities.
func columns(t metricabi.Table, arm metricabi.Arm) (label *metricabi.Column, p []*metricabi.Column) {
	for i := range t.Columns {
		switch c := &t.Columns[i]; {
		case c.Role == metricabi.RoleLabel:
			label = c
		case c.Role == metricabi.RoleProbability && c.Arm == arm:
			p = append(p, c)
		}
	}
	return label, p
}

// brier is the mean over rows of sum over classes (p_c - [gold = c])², and that
// of each row, NaN where there is none (G. W. Brier, Monthly Weather Review 78,
// 1950). A row without all its probabilities is left out, or scores 2.
func brier(t metricabi.Table, arm metricabi.Arm, leaveOut bool) (float64, []float64) {
	label, p := columns(t, arm)
	rows := make([]float64, t.Rows)
	var sum, n float64
	for i := range rows {
		row := math.NaN()
		if label.Valid(i) {
			row = squares(p, i, int(label.Int32[i]))
			if row < 0 && leaveOut {
				row = math.NaN()
			} else if row < 0 {
				row = 2
			}
		}
		if rows[i] = row; row == row {
			sum += row
			n++
		}
	}
	return sum / n, rows
}

// squares is one row's score, -1 where a probability is missing.
func squares(p []*metricabi.Column, i, gold int) float64 {
	row := 0.0
	for c := range p {
		if !p[c].Valid(i) {
			return -1
		}
		d := p[c].Float64[i]
		if c == gold {
			d--
		}
		// The product is rounded before it is added, as WebAssembly does; Go
		// may fuse the two otherwise.
		row += float64(d * d)
	}
	return row
}

// calibration is sum over bins b of |right_b - confidence_b| / n, with ten bins
// of equal width of the highest probability (M. P. Naeini et al., AAAI 2015).
func calibration(t metricabi.Table) []metricabi.Result {
	const bins = 10
	var ece [2]float64
	for arm := range ece {
		label, p := columns(t, metricabi.Arm(arm+1))
		var rows, confidence, right [bins]float64
		for i := range t.Rows {
			best, highest, complete := 0, math.Inf(-1), label.Valid(i)
			for c := range p {
				v := p[c].Float64[i]
				complete = complete && p[c].Valid(i)
				if v > highest {
					best, highest = c, v
				}
			}
			if !complete {
				continue
			}
			b := min(int(highest*bins), bins-1)
			rows[b]++
			confidence[b] += highest
			if int(label.Int32[i]) == best {
				right[b]++
			}
		}
		var n, sum float64
		for b := range bins {
			n += rows[b]
			sum += math.Abs(right[b] - confidence[b])
		}
		ece[arm] = sum / n
	}
	return []metricabi.Result{scalar("ece.A", ece[0]), scalar("ece.B", ece[1]), scalar("ece.difference", ece[1]-ece[0])}
}

func scalar(name string, v float64) metricabi.Result {
	return metricabi.Result{Name: name, Kind: metricabi.Scalar, Values: []float64{v}}
}

// column marks NaN as undefined.
func column(name string, values []float64) metricabi.Result {
	r := metricabi.Result{Name: name, Kind: metricabi.PerSample, Values: values}
	for i, v := range values {
		if v != v {
			if r.Undefined == nil {
				r.Undefined = make([]bool, len(values))
			}
			r.Values[i], r.Undefined[i] = 0, true
		}
	}
	return r
}
