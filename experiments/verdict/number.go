package verdict

import (
	"math"
	"strconv"
	"strings"

	"triality/experiments"
)

const minus = "\u2212"

// level writes a metric's value: a share in percent.
func level(metric string, v experiments.Real) string {
	x := float64(v)
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return "–"
	case experiments.IsShare(metric):
		return decimals(100*x, 1) + "%"
	}
	return decimals(x, 3)
}

// change writes a difference with its sign: of shares in percentage points, without the word.
func change(metric string, v experiments.Real) string {
	x, digits := float64(v), 3
	if experiments.IsShare(metric) {
		x, digits = 100*x, 1
	}
	switch {
	case math.IsInf(x, 1):
		return "∞"
	case math.IsInf(x, -1):
		return minus + "∞"
	case math.IsNaN(x):
		return "–"
	}
	text := decimals(x, digits)
	if strings.Trim(text, minus+"0.") == "" {
		return strings.TrimPrefix(text, minus)
	}
	if x > 0 {
		text = "+" + text
	}
	return text
}

// margin writes the margin of a metric, without the word for points.
func margin(metric string, v float64) string {
	if experiments.IsShare(metric) {
		v *= 100
	}
	return strings.Replace(strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64), "-", minus, 1)
}

func decimals(v float64, digits int) string {
	return strings.Replace(strconv.FormatFloat(v, 'f', digits, 64), "-", minus, 1)
}

// percent writes a level of confidence: 95, 99.9.
func percent(v float64) string { return strconv.FormatFloat(math.Round(v*1e6)/1e4, 'f', -1, 64) }

// rounded writes a number of rows to two digits: it is an estimate.
func rounded(n int) string {
	size := 1
	for n/size >= 100 {
		size *= 10
	}
	return whole((n + size - 1) / size * size)
}

// whole writes a number in groups of three.
func whole(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
