package hfdataset

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// datasetVariable names a new folder that gets the dataset and its values, for
// runtime/parity/check_datasets.py to read with pyarrow.
const datasetVariable = "TRIALITY_DATASET_OUT"

// forReaders has every kind of column, several files to a split, several batches to a file, an empty
// split, and the values that readers may trip over.
func forReaders() []Split {
	odd := Split{Name: "val.odd_1", Columns: []Column{
		Lists("lists", [][]int32{{}, {math.MinInt32, -1, 0, math.MaxInt32}, {}, {7}, {}}),
		Strings("texts", []string{"", "a\x00b", "日本語 👩🏽\u200d💻 e\u0301", strings.Repeat("long ", 9000), "\u2028\ufeff\"\\"}),
		Ints("numbers", []int64{math.MinInt64, -1, 0, 1 << 53, math.MaxInt64}),
	}}
	empty := Split{Name: "test", Columns: []Column{Strings("text", []string{}), Ints("n", []int64{}), Lists("input_ids", [][]int32{})}}
	return []Split{sample(2345), odd, empty}
}

// values are a dataset's as JSON has them, integers of 64 bits as text.
func values(splits []Split) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, s := range splits {
		columns := map[string]any{}
		for _, c := range s.Columns {
			switch c.Kind {
			case String:
				columns[c.Name] = c.Strings
			case Int64:
				text := make([]string, len(c.Ints))
				for i, v := range c.Ints {
					text[i] = strconv.FormatInt(v, 10)
				}
				columns[c.Name] = text
			case ListInt32:
				columns[c.Name] = c.Lists
			}
		}
		out[s.Name] = columns
	}
	return out
}

// writeForReaders writes the dataset in files of at most 20 kB and, beside it, its values.
func writeForReaders(t *testing.T, dir string) []byte {
	t.Helper()
	splits := forReaders()
	if err := write(filepath.Join(dir, "dataset"), cutAll(splits), 20_000); err != nil {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "dataset", "train", "*.arrow")); len(files) < 3 {
		t.Fatalf("train is in %d files", len(files))
	}
	want, err := json.Marshal(values(splits))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "values.json"), want, 0o644); err != nil {
		t.Fatal(err)
	}
	return want
}

func TestApacheArrowForJavaScriptReadsTheSameValues(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs Node: ", err)
	}
	modules, err := filepath.Abs("../../frontend/package.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(modules), "node_modules", "apache-arrow")); err != nil {
		t.Skip("needs the npm package apache-arrow (npm --prefix frontend ci): ", err)
	}
	dir := t.TempDir()
	want := writeForReaders(t, dir)
	cmd := exec.Command(node, "testdata/read_dataset.mjs", modules, filepath.Join(dir, "dataset"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	got, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(want, &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("it read\n%.2000s\nwant\n%.2000s", got, want)
	}
}

func TestWhatPyArrowIsToRead(t *testing.T) {
	out := os.Getenv(datasetVariable)
	if out == "" {
		t.Skipf("writes a dataset for check_datasets.py: name a new folder in %s", datasetVariable)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		t.Fatal(err)
	}
	writeForReaders(t, out)
}
