package metricbench

import (
	"math"

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
)

// Peer is a metric in Go: the results of a module over a table it passes
// Select for.
type Peer func(metricabi.Table) []metricabi.Result

// Peers are the metrics that can be measured, by their first output: the
// Brier score of the templates, which takes one arm a call, and the expected
// calibration error of the ready-made metric, which takes both. Both stand for
// their kind: one reads every probability and writes a column, one reads and
// sums up.
var Peers = map[string]Peer{"score.A": brier, "ece.A": calibration}

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
// of each row (G. W. Brier, Monthly Weather Review 78, 1950). A row without all
// its probabilities scores 2.
func brier(t metricabi.Table) []metricabi.Result {
	label, p := columns(t, metricabi.ArmA)
	rows := metricabi.Result{Name: "row.A", Kind: metricabi.PerSample, Values: make([]float64, t.Rows)}
	var sum, n float64
	for i := range rows.Values {
		if !label.Valid(i) {
			if rows.Undefined == nil {
				rows.Undefined = make([]bool, t.Rows)
			}
			rows.Undefined[i] = true
			continue
		}
		gold, row := int(label.Int32[i]), 0.0
		for c := range p {
			if !p[c].Valid(i) {
				row = 2
				break
			}
			d := p[c].Float64[i]
			if c == gold {
				d--
			}
			// The product is rounded before it is added, as WebAssembly does;
			// Go may fuse the two otherwise.
			row += float64(d * d)
		}
		rows.Values[i] = row
		sum += row
		n++
	}
	return []metricabi.Result{scalar("score.A", sum/n), rows}
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
