package main

import "triality.example/@NAME@/metric"

func init() { metric.Register(`@DESCRIPTION@`, eval) }

func main() {}

func eval(t *metric.Table, r *metric.Results) error {
	label, topic := t.Column(metric.Label, metric.Shared), t.Named("topic", metric.Shared)
	for i := range t.Arms() {
		arm := uint32(i + 1)
		p, lists := t.Column(metric.Prediction, arm), t.Column(metric.TokenLogProb, arm)
		var right, n, tokens float64
		for row := range t.Rows {
			if label.Valid(row) && p.Valid(row) {
				n++
				if label.Int32(row) == p.Int32(row) {
					right++
				}
			}
			if lists.Valid(row) {
				tokens += float64(len(lists.List(row)))
			}
		}
		rate := right / n
		r.Interval(metric.OfArm("rate", arm), rate, rate-1/n, rate+1/n)
		r.Scalar(metric.OfArm("tokens", arm), tokens)
	}
	var names []string
	var rows, sums, counts, lows, highs []float64
	lists := t.Column(metric.TokenLogProb, metric.A)
	for row := range t.Rows {
		if !topic.Valid(row) {
			continue
		}
		name, at := topic.String(row), 0
		for at < len(names) && names[at] != name {
			at++
		}
		if at == len(names) {
			names, rows, sums, counts = append(names, name), append(rows, 0), append(sums, 0), append(counts, 0)
			lows, highs = append(lows, 0), append(highs, 0)
		}
		rows[at]++
		if !lists.Valid(row) {
			continue
		}
		for _, v := range lists.List(row) {
			if counts[at] == 0 || v < lows[at] {
				lows[at] = v
			}
			if counts[at] == 0 || v > highs[at] {
				highs[at] = v
			}
			sums[at] += v
			counts[at]++
		}
	}
	var all []float64
	for i := range names {
		low, high := lows[i], highs[i]
		if counts[i] == 0 {
			low, high = 0/counts[i], 0/counts[i] // undefined
		}
		all = append(all, sums[i]/counts[i], low, high)
	}
	r.Groups("topic_rows", names, rows)
	r.GroupIntervals("topic_logprob", names, all)
	return nil
}
