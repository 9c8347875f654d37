package graph

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestAKeyHasTheKindTheEngineVersionAndEveryPartInIt(t *testing.T) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q\n%q\n%q\n%d\n", "convert", EngineVersion, "a", 7))
	got, err := Key("convert", "a", 7)
	if err != nil || got != hex.EncodeToString(sum[:]) {
		t.Errorf("the key is %s, %v; want the SHA-256 of kind, engine version and parts as lines of JSON, %x", got, err, sum)
	}
	if _, err := Key("convert", func() {}); err == nil {
		t.Error("a part that JSON cannot say was left out")
	}
}

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
