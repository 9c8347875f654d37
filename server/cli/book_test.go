package cli

import (
	"os"
	"path/filepath"
	"testing"

	"triality/frontend"
)

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
	if err != nil || len(books) < 2 {
		t.Fatalf("%v, %v", books, err)
	}
	for _, book := range books {
		t.Run(filepath.Base(book), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := triality(t, root, "run", "--data", filepath.Join(dir, "data"), "--set", "output_dir="+dir, "--set", "base.base_model="+filepath.Join(dir, "base"),
				"--set", "base.create.num_train_epochs=0.2", "--set", "tune.training.num_train_epochs=0.1", "--set", "so8t.so8t.num_train_epochs=0.1", book)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, result := range []string{"report/*/report.html", "metric/*/*.json", "abtest/*/results.json", "replace/*/model/config.json"} {
				if found, err := filepath.Glob(filepath.Join(dir, result)); err != nil || len(found) == 0 {
					t.Errorf("there is no %s: %v", result, err)
				}
			}
		})
	}
}
