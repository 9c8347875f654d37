package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAModelsCardSaysWhatItsDataWasHeldTo(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "convert", "dataset")
	if err := os.MkdirAll(filepath.Dir(data), 0o755); err != nil {
		t.Fatal(err)
	}
	for summary, want := range map[string]string{
		``:                               "",
		`{"rows": 9, "groups": 3}`:       "not looked through",
		`{"rows": 9, "audit": "refuse"}`: "`data.audit: refuse`), and none was found",
		`{"rows": 9, "audit": "redact", "personal_rows": 2}`: "found in 2 of them (`data.audit: redact`)",
	} {
		file := filepath.Join(dir, "convert", "summary.json")
		os.Remove(file)
		if summary != "" {
			if err := os.WriteFile(file, []byte(summary), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := writeCard(dir, "fine-tuned", Source{Name: "org/name@abc", Dir: "x", Repo: "org/name"}, data); err != nil {
			t.Fatal(err)
		}
		card, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err != nil || !strings.Contains(string(card), want) || !strings.Contains(string(card), "detection and refusal alone") || !strings.HasPrefix(string(card), "---\nbase_model: org/name\n---\n") {
			t.Errorf("%s: %s %v", summary, card, err)
		}
	}
	if err := writeCard(dir, "replaced", Source{Name: "base", Dir: "a/base"}, ""); err != nil {
		t.Fatal(err)
	}
	if card, err := os.ReadFile(filepath.Join(dir, "README.md")); err != nil || strings.Contains(string(card), "## Data") || !strings.HasPrefix(string(card), "# base, replaced") {
		t.Errorf("without data: %s %v", card, err)
	}
}
