package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
)

func TestAmountsOfMemoryAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]struct {
		bytes   Bytes
		written string
	}{
		"": {0, "0"}, "0": {0, "0"}, "5": {5, "5"}, "1KiB": {1 << 10, "1KiB"}, "3 MiB": {3 << 20, "3MiB"}, "11GiB": {11 << 30, "11GiB"},
		"1.5GiB": {3 << 29, "1536MiB"}, "2KB": {2000, "2000"}, "2MB": {2e6, "2000000"}, "4GB": {4e9, "3906250KiB"}, "1025": {1025, "1025"},
	} {
		var b, again Bytes
		if err := b.Parse(text); err != nil || b != want.bytes || b.String() != want.written {
			t.Errorf("%q: %d %s %v, want %d %s", text, int64(b), b, err, int64(want.bytes), want.written)
		}
		if err := again.Parse(b.String()); err != nil || again != b {
			t.Errorf("%q: %s is read back as %d, %v", text, b, int64(again), err)
		}
	}
	for _, text := range []string{"-1", "x", "GiB", "NaN", "Inf", "8589934592GiB", "9223372036854775808"} { // the last two are 2⁶³
		b := Bytes(7)
		if err := b.Parse(text); err == nil || b != 7 || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %d, %v", text, int64(b), err)
		}
	}
}

func TestAFileOfTheLargestSizeIsReadAndALargerOneRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	for extra, want := range map[int]experiments.Code{0: "", 1: experiments.CodeTooLarge, 1000: experiments.CodeTooLarge} {
		text := minimal + "#"
		text += strings.Repeat("x", maxFile-len(text)+extra)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(path)
		if (err == nil) != (want == "") || err != nil && experiments.CodeOf(err) != want {
			t.Errorf("%d bytes over the limit: %v", extra, err)
		}
	}
}

func TestAnEmptyFileLacksWhatIsNeeded(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		if _, err := Parse("x.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "x.yaml: data.input_path: is needed") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAnErrorWithoutALineNamesNone(t *testing.T) {
	if _, err := Parse("x.yaml", []byte(minimal), "seed"); err == nil || !strings.HasPrefix(err.Error(), "x.yaml: --set wants") {
		t.Error(err)
	}
}

func TestValuesOnTheBorderAreAllowedAndThoseBeyondAreNot(t *testing.T) {
	for _, set := range [][]string{
		{"data.val_ratio=0"}, {"data.test_ratio=0"}, {"data.val_ratio=0.5", "data.test_ratio=0.4375"},
		{"training.warmup_ratio=0"}, {"training.warmup_ratio=1"},
		{"test.bootstrap_resamples=100"}, {"test.bootstrap_resamples=100000"},
		{"training.learning_rate=100"}, {"training.learning_rate=1e-300"}, {"training.num_train_epochs=100000"}, {"training.num_train_epochs=1e-6"},
		{"training.weight_decay=100"}, {"training.weight_decay=0"},
	} {
		if _, err := Parse("x.yaml", []byte(minimal), set...); err != nil {
			t.Errorf("%v: %v", set, err)
		}
	}
	for _, set := range [][]string{
		{"data.val_ratio=-0.1"}, {"data.test_ratio=-0.1"}, {"data.val_ratio=0.5", "data.test_ratio=0.5"}, {"data.val_ratio=.nan"},
		{"training.warmup_ratio=-0.1"}, {"training.warmup_ratio=1.1"},
		{"test.bootstrap_resamples=99"}, {"test.bootstrap_resamples=100001"},
		{"training.learning_rate=0"}, {"training.learning_rate=100.1"}, {"training.num_train_epochs=100001"}, {"training.num_train_epochs=9e-7"},
		{"training.weight_decay=100.1"}, {"training.weight_decay=-0.1"},
		{"model.create.shape=tiny", "model.create.vocab_size=299"}, {"model.create.shape=tiny", "model.create.learning_rate=0"},
	} {
		_, err := Parse("x.yaml", []byte(minimal), set...)
		last := set[len(set)-1]
		if key, _, _ := strings.Cut(last, "="); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v: %v, want an error that names %s", set, err, key)
		}
	}
}

func TestAsManyColumnsAsTheLimitMayBeSlicedBy(t *testing.T) {
	var columns []string
	for i := range maxSlices {
		columns = append(columns, fmt.Sprint("column ", i))
	}
	if err := CheckSlices(columns); err != nil {
		t.Error(err)
	}
	if err := CheckSlices(append(columns, "one more")); err == nil {
		t.Error("one more is allowed too")
	}
}
