package pipeline

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestEachSeedAndTheAuditChangeTheStepsThatTheyAreOf(t *testing.T) {
	t.Chdir(t.TempDir())
	writeRows(t, "rows.jsonl", 64)
	if err := os.Mkdir("own", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"config.json": `{"model_type":"llama"}`, "tokenizer.json": tinyTokenizer, "model.safetensors": "weights"} {
		if err := os.WriteFile(filepath.Join("own", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(set ...string) map[string]string {
		out := map[string]string{}
		for _, s := range plannedSteps(t, smallConfig(t, ".", append([]string{"model.base_model=own"}, set...)...), "cpu", nil) {
			out[s.kind] = s.key
		}
		return out
	}
	before := keys()
	for _, tt := range []struct {
		set     string
		changes []string
	}{
		{"seed_split=7", nil}, // the seed that it has anyway
		{"seed_split=9", []string{"convert", "finetune", "replace", "abtest", "report"}},
		{"seed_train=9", []string{"finetune", "replace", "abtest", "report"}},
		{"seed_eval=9", []string{"abtest", "report"}},
		{"data.audit=off", nil}, // as where it is not set
		{"data.audit=warn", []string{"convert", "finetune", "replace", "abtest", "report"}},
	} {
		var changed []string
		after := keys(tt.set)
		for _, kind := range []string{"convert", "finetune", "replace", "abtest", "report"} {
			if before[kind] == "" {
				t.Fatalf("no step of kind %s", kind)
			}
			if after[kind] != before[kind] {
				changed = append(changed, kind)
			}
		}
		if !slices.Equal(changed, tt.changes) {
			t.Errorf("%s changes %v, want %v", tt.set, changed, tt.changes)
		}
	}
	one, three := keys("seed=9"), keys("seed_split=9", "seed_train=9", "seed_eval=9")
	for kind, key := range one {
		if three[kind] != key {
			t.Errorf("%s: three seeds of 9 give the key %s, seed 9 gives %s", kind, three[kind], key)
		}
	}
}
