package pipeline

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDataSetsInAFolderWhoseNameIsAPatternHaveKeysOfTheirContent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run [1]*")
	key := func(rows string) string {
		t.Helper()
		for name, text := range map[string]string{"dataset_dict.json": "{}", "test/data.arrow": rows, "test/state.json": rows + " state"} {
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Skip("the system does not take the name: ", err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		sum, err := hashTestData(dir)
		if err != nil {
			t.Fatal(err)
		}
		return sum
	}
	if key("one") == key("two") {
		t.Error("two data sets have one key")
	}
}
