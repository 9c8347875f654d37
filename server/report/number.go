package report

import (
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	minus  = "\u2212"
	narrow = "\u202f" // narrow no-break space
)

// finite is v for a chart: nil, a gap, when it is not finite.
func finite(v float64) any {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return v
}

func odd(v float64) (string, bool) {
	switch {
	case math.IsNaN(v):
		return "NaN", true
	case math.IsInf(v, 1):
		return "∞", true
	case math.IsInf(v, -1):
		return minus + "∞", true
	}
	return "", false
}

func typeset(s string) string {
	mantissa, exponent, found := strings.Cut(s, "e")
	if found {
		sign := ""
		if strings.HasPrefix(exponent, "-") {
			sign = minus
		}
		s = mantissa + "e" + sign + strings.TrimLeft(exponent, "+-0")
	}
	if strings.HasPrefix(s, "-") {
		s = minus + s[1:]
	}
	return s
}

// figure writes a number with four significant digits.
func figure(v float64) string {
	if s, is := odd(v); is {
		return s
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e9 {
		return typeset(strconv.FormatFloat(v, 'f', 0, 64))
	}
	if a := math.Abs(v); a >= 1e-3 && a < 1e5 {
		decimals := max(3-int(math.Floor(math.Log10(a))), 0)
		return typeset(strconv.FormatFloat(v, 'f', min(decimals, 6), 64))
	}
	return typeset(strconv.FormatFloat(v, 'e', 2, 64))
}

// plain is figure without zeros that say nothing, for text and single values.
func plain(v float64) string {
	s := figure(v)
	mantissa, exponent, found := strings.Cut(s, "e")
	if strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	if found {
		return mantissa + "e" + exponent
	}
	return mantissa
}

// percent writes a share of one.
func percent(v float64) string {
	if s, is := odd(v); is {
		return s
	}
	return typeset(strconv.FormatFloat(100*v, 'f', 1, 64)) + "%"
}

// signed writes a difference with its sign, to a number of decimals.
func signed(v float64, decimals int) string {
	if s, is := odd(v); is {
		return s
	}
	s := typeset(strconv.FormatFloat(v, 'f', decimals, 64))
	if strings.Trim(s, minus+"0.") == "" {
		return strings.TrimPrefix(s, minus)
	}
	if v > 0 {
		s = "+" + s
	}
	return s
}

// millis writes milliseconds.
func millis(v float64) string {
	if s, is := odd(v); is {
		return s
	}
	decimals := 2
	switch {
	case v >= 100:
		decimals = 0
	case v >= 10:
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// count writes a whole number in groups of three.
func count[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + narrow + s[i:]
	}
	if neg {
		return minus + s
	}
	return s
}

// pvalue writes how a probability compares, never as zero: "= 0.042", "< 0.001".
func pvalue(p float64) string {
	if s, is := odd(p); is {
		return "= " + s
	}
	if p < 0.001 {
		return "< 0.001"
	}
	return "= " + strconv.FormatFloat(p, 'f', 3, 64)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04") + " UTC"
}

func span(from, to time.Time) string {
	if from.IsZero() || to.IsZero() || to.Before(from) {
		return "–"
	}
	took := to.Sub(from)
	if took < time.Minute {
		return took.Round(time.Second / 10).String()
	}
	if s, whole := strings.CutSuffix(took.Round(time.Second).String(), "m0s"); whole {
		return s + "m"
	}
	return took.Round(time.Second).String()
}

// clip cuts a text to n characters.
func clip(s string, n int) string {
	r := []rune(strings.Join(strings.Fields(s), " "))
	if len(r) <= n {
		return string(r)
	}
	return strings.TrimSpace(string(r[:n-1])) + "…"
}
