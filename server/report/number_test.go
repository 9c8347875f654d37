package report

import (
	"math"
	"testing"
)

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{figure(0), "0"}, {figure(-3), "−3"}, {figure(0.123456), "0.1235"}, {figure(12.3456), "12.35"}, {figure(1234.5678), "1235"}, {figure(-1.5e-7), "−1.50e−7"},
		{figure(2.5e9), "2.50e9"}, {figure(math.NaN()), "NaN"}, {figure(math.Inf(-1)), "−∞"}, {figure(999.96), "1000.0"},
		{plain(0.071), "0.071"}, {plain(1e-5), "1e−5"}, {plain(20), "20"}, {plain(1000.4), "1000"}, {plain(-3.3e-7), "−3.3e−7"},
		{percent(0.8979), "89.8%"}, {percent(1), "100.0%"}, {percent(math.NaN()), "NaN"},
		{signed(4.37, 1), "+4.4"}, {signed(-1.25, 1), "−1.2"}, {signed(-0.01, 1), "0.0"}, {signed(0, 1), "0.0"},
		{millis(0.126), "0.13"}, {millis(41.26), "41.3"}, {millis(1234.5), "1234"},
		{count(7), "7"}, {count(1234567), "1\u202f234\u202f567"}, {count(-1000), "−1\u202f000"}, {count(int64(math.MinInt64)), "−9\u202f223\u202f372\u202f036\u202f854\u202f775\u202f808"},
		{pvalue(0.0001), "< 0.001"}, {pvalue(0.0421), "= 0.042"}, {clip("a\n b  c", 9), "a b c"}, {clip("日本語です", 3), "日本…"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
