package cli

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"triality/experiments/pipeline"
)

// Whoever opens the first notebook after the demo finds what the demo computed: the steps have the same keys and folders.
func TestTheShippedNotebooksTakeOverWhatTheDemoComputes(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "wasm-metrics/dist/mcc.wasm")); err != nil {
		t.Skip("the demo's metrics are not built: npm --prefix wasm-metrics run build")
	}
	dir := t.TempDir()
	planned := func(t *testing.T, file, base string) map[string]string {
		t.Helper()
		out, err := triality(t, root, "run", "--plan", "--json", "--data", filepath.Join(t.TempDir(), "data"),
			"--set", "output_dir="+filepath.Join(dir, "work"), "--set", base+"="+filepath.Join(dir, "base"), filepath.Join(root, "configs", file)).Output()
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var plan struct{ Steps []pipeline.PlannedStep }
		if err := json.Unmarshal(out, &plan); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		results := map[string]string{}
		for _, s := range plan.Steps {
			results[s.Kind] = s.Key + " in " + s.Output
		}
		return results
	}
	demo := planned(t, "demo.yaml", "model.base_model")
	for _, tt := range []struct {
		file string
		own  []string // kinds with results of the notebook's own
	}{
		{"notebooks/first.md", nil},
		{"notebooks/first.ja.md", []string{"report"}}, // in its language
		{"notebooks/so8t.md", []string{"abtest", "report"}},
		{"notebooks/so8t.ja.md", []string{"abtest", "report"}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			want := maps.Clone(demo)
			for _, kind := range tt.own {
				delete(want, kind)
			}
			if len(want) < 4 {
				t.Fatalf("the demo has the steps %v", demo)
			}
			got := planned(t, tt.file, "base.base_model")
			for kind, result := range want {
				if got[kind] != result {
					t.Errorf("%s: %s, and the demo's is %s", kind, got[kind], result)
				}
			}
		})
	}
}
