package linearsvm

import (
	"bufio"
	"encoding/json"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"triality/experiments"
)

type row struct {
	Instruction, Input string
	Label              string `json:"four_class_label"`
	Group              string `json:"source_sample"`
}

func read(t *testing.T, folder, pattern string) (out []row) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(files) == 0 {
		t.Skipf("%s has no %s (%v)", folder, pattern, err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			var r row
			if err := json.Unmarshal(s.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
	}
	return out
}

func TestMarginsAreThoseOfScikitLearn(t *testing.T) {
	var want struct {
		Features int
		Rows     []int
		Margins  [][]float64
	}
	text, err := os.ReadFile("testdata/reference.json")
	if err == nil {
		err = json.Unmarshal(text, &want)
	}
	if err != nil {
		t.Fatal(err)
	}
	rows := read(t, "../../configs/sample", "four_class_sample_*.jsonl")
	var texts []string
	var labels []int
	for i := 0; i < len(rows); i += 2 {
		texts = append(texts, rows[i].Instruction+"\n"+rows[i].Input)
		labels = append(labels, experiments.LabelIndex(rows[i].Label))
	}
	m, err := Train(t.Context(), texts, labels, len(experiments.Labels))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(m.features.idf); got != want.Features {
		t.Errorf("%d features, want %d", got, want.Features)
	}
	for k, i := range want.Rows {
		got := m.Margins(rows[i].Instruction + "\n" + rows[i].Input)
		for c := range got {
			if math.Abs(got[c]-want.Margins[k][c]) > 1e-3 {
				t.Errorf("row %d, class %d: margin %.6f, want %.6f", i, c, got[c], want.Margins[k][c])
			}
		}
	}
}

// On the whole of the real prompts scikit-learn's same model reaches 0.920 in five folds by group (char 1–5, 0.912 to
// 0.935 a fold).
func TestOnRealPromptsItReachesWhatScikitLearnReaches(t *testing.T) {
	if os.Getenv("TRIALITY_FLOORS") == "" {
		t.Skip("half a minute: TRIALITY_FLOORS=1 runs it")
	}
	rows := read(t, "../../../shared/data/xsafety", "*.jsonl")
	var texts []string
	var labels []int
	var test []row
	for _, r := range rows {
		h := fnv.New32a()
		h.Write([]byte(r.Group))
		if h.Sum32()%5 == 0 {
			test = append(test, r)
			continue
		}
		texts, labels = append(texts, r.Input), append(labels, experiments.LabelIndex(r.Label))
	}
	start := time.Now()
	m, err := Train(t.Context(), texts, labels, len(experiments.Labels))
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for _, r := range test {
		if m.Predict(r.Input) == experiments.LabelIndex(r.Label) {
			right++
		}
	}
	accuracy := float64(right) / float64(len(test))
	t.Logf("%.4f on %d rows, trained on %d in %v", accuracy, len(test), len(texts), time.Since(start))
	if accuracy < 0.895 || accuracy > 0.95 {
		t.Errorf("accuracy %.4f; scikit-learn's is 0.92", accuracy)
	}
}

func TestTheSameTextsGiveTheSameWeights(t *testing.T) {
	texts := []string{"refund my card", "card refund please", "delete the server", "server delete now", "カードの返金", "サーバーを削除", ""}
	labels := []int{0, 0, 1, 1, 0, 1, 2}
	first, err := Train(t.Context(), texts, labels, 4)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := Train(t.Context(), texts, labels, 4)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range append(texts, "a card refund", "返金", "zzz", "\xff") {
			if !slices.Equal(first.Margins(text), again.Margins(text)) {
				t.Fatalf("%q: %v, then %v", text, first.Margins(text), again.Margins(text))
			}
		}
	}
	for text, want := range map[string]int{"a card refund": 0, "the server": 1, "返金してほしい": 0, "削除してほしい": 1} {
		if got := first.Predict(text); got != want {
			t.Errorf("%q: class %d, want %d", text, got, want)
		}
	}
}
