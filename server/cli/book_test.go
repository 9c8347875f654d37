package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"triality/experiments/notebook"
	"triality/frontend"
)

// trained is said of a fine-tune that runs.
var trained = regexp.MustCompile(`(?m)\btune +started`)

func TestTheShippedNotebooksRun(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "wasm-metrics/dist/mcc.wasm")); err != nil {
		t.Skip("the notebooks' metric is not built: npm --prefix wasm-metrics run build")
	}
	books, err := filepath.Glob(filepath.Join(root, "configs/notebooks/*.md"))
	if err != nil || len(books) < 4 {
		t.Fatalf("%v, %v", books, err)
	}
	// A notebook after another takes its results over, and finds its runs.
	inOrder := [][]string{{"first.md", "first.ja.md", "so8t.md", "so8t.ja.md", "judge.md", "judge.ja.md"}, {"sweep.md", "sweep.ja.md"}}
	for _, book := range books {
		if name := filepath.Base(book); !slices.Contains(slices.Concat(inOrder...), name) {
			inOrder = append(inOrder, []string{name})
		}
	}
	for _, names := range inOrder {
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for _, name := range names {
				path := filepath.Join(root, "configs/notebooks", name)
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				args := []string{"run", "--data", filepath.Join(dir, "data"), "--set", "output_dir=" + dir}
				for _, set := range []string{"base.base_model=" + filepath.Join(dir, "base"), "base.create.num_train_epochs=0.2", "tune.training.num_train_epochs=0.1", "so8t.so8t.num_train_epochs=0.1",
					"search.budget={key: training.num_train_epochs, min: 0.02, max: 0.2}"} {
					step, _, _ := strings.Cut(set, ".")
					if strings.Contains(string(text), " id="+step+"\n") {
						args = append(args, "--set", set)
					}
				}
				out, err := triality(t, root, append(args, path)...).CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", name, err, out)
				}
				// What is trained there is trained once.
				if name != names[0] && trained.Match(out) {
					t.Errorf("%s: the results of %s were not taken over:\n%s", name, names[0], out)
				}
				for _, b := range notebook.Parse(path, string(text)).Cells() {
					if found, err := filepath.Glob(filepath.Join(dir, b.Cell.Kind, "*", "step.json")); b.Cell.Kind != "base" && (err != nil || len(found) == 0) {
						t.Errorf("%s: there is no result of %s: %v", name, b.Cell.ID, err)
					}
				}
			}
			want := []string{"report/*/report.html", "metric/*/metric.json", "abtest/*/results.json", "replace/*/model/config.json"}
			if names[0] == "first.md" {
				want = append(want, "compare/*/compare.json", "samples/*/samples.json", "query/*/rows.json")
			}
			if names[0] == "sweep.md" {
				want = []string{"sweep/*/sweep.json", "sweep/*/best/model/config.json"}
			}
			for _, result := range want {
				if found, err := filepath.Glob(filepath.Join(dir, result)); (strings.HasPrefix(names[0], "first") || names[0] == "sweep.md") && (err != nil || len(found) == 0) {
					t.Errorf("there is no %s: %v", result, err)
				}
			}
		})
	}
}
