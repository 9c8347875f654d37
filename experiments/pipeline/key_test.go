package pipeline

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDataSetsInAFolderWhoseNameIsAPatternHaveKeysOfTheirContent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run [1]*")
	key := func(rows, state string) string {
		t.Helper()
		for name, text := range map[string]string{"dataset_dict.json": "{}", "test/data.arrow": rows, "test/state.json": state, "test/dataset_info.json": state, "test/cache.bin": state} {
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
	one := key("one", "1")
	if one == key("two", "1") {
		t.Error("two data sets have one key")
	}
	if one != key("one", "2") {
		t.Error("the key is not that of the rows alone")
	}
	files, err := TestFiles(dir)
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if want := []string{"dataset_dict.json", "data.arrow", "dataset_info.json", "state.json"}; err != nil || !slices.Equal(files, want) {
		t.Errorf("%q, %v; want %q", files, err, want)
	}
}
