package query

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Number reads a number: decimal, with an exponent or without, or nan, inf and -inf in any case.
func Number(text string) (float64, bool) {
	if text == "" || len(text) > 64 {
		return 0, false
	}
	switch strings.ToLower(text) {
	case "nan":
		return math.NaN(), true
	case "inf", "+inf", "infinity", "+infinity":
		return math.Inf(1), true
	case "-inf", "-infinity":
		return math.Inf(-1), true
	}
	return Decimal(text)
}

// Decimal is Number without the words, for values that may be meant as words.
func Decimal(text string) (float64, bool) {
	if text == "" || len(text) > 64 {
		return 0, false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9', c == '.', c == '-', c == '+':
		case (c == 'e' || c == 'E') && i > 0:
		default:
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil || math.IsInf(f, 0) // 1e999 is too large, not wrong
}

// Span is a stretch of time, its end not included.
type Span struct{ From, To time.Time }

var timeForms = []struct {
	form string
	long time.Duration
}{
	{time.RFC3339Nano, time.Nanosecond},
	{"2006-01-02T15:04:05", time.Second},
	{"2006-01-02 15:04:05", time.Second},
	{"2006-01-02T15:04", time.Minute},
	{"2006-01-02 15:04", time.Minute},
	{"2006-01-02", 24 * time.Hour},
}

// WantTime says what Time reads.
const WantTime = "a time such as 2026-11-01, 2026-11-01T10:30, -7d (seven days ago), today, or milliseconds since 1970"

// Time reads a time, UTC where it names no zone: a day, minute or second is the whole of it. A number is of
// milliseconds since 1970; -7d is seven days before now.
func Time(text string, now time.Time) (Span, bool) {
	now = now.UTC()
	day := now.Truncate(24 * time.Hour)
	switch strings.ToLower(text) {
	case "now":
		return Span{now, now.Add(time.Nanosecond)}, true
	case "today":
		return Span{day, day.AddDate(0, 0, 1)}, true
	case "yesterday":
		return Span{day.AddDate(0, 0, -1), day}, true
	}
	for _, f := range timeForms {
		if t, err := time.Parse(f.form, text); err == nil {
			return Span{t, t.Add(f.long)}, true
		}
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms >= 0 && ms <= 253402300799999 {
		t := time.UnixMilli(ms)
		return Span{t, t.Add(time.Millisecond)}, true
	}
	if back, ok := strings.CutPrefix(text, "-"); ok {
		if d, ok := duration(back); ok {
			t := now.Add(-d)
			return Span{t, t.Add(time.Nanosecond)}, true
		}
	}
	return Span{}, false
}

// WantDuration says what Seconds reads.
const WantDuration = "a duration such as 90s, 10m, 1h30m or 2d, or a number of seconds"

// Seconds reads a duration.
func Seconds(text string) (float64, bool) {
	if f, ok := Decimal(text); ok {
		return f, true
	}
	d, ok := duration(text)
	return d.Seconds(), ok
}

// duration reads Go's durations with days (d) and weeks (w) before them.
func duration(text string) (time.Duration, bool) {
	var sum time.Duration
	rest := text
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		before, after, ok := strings.Cut(rest, unit.name)
		if !ok {
			continue
		}
		n, isNumber := Decimal(before)
		if !isNumber || n < 0 || n > 1e5/unit.long.Hours()*24 {
			return 0, false
		}
		sum += time.Duration(n * float64(unit.long))
		rest = after
	}
	if rest == "" {
		return sum, text != ""
	}
	d, err := time.ParseDuration(rest)
	return sum + d, err == nil && d >= 0
}
