package memory

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestTheBoundsOfAllControlGroupsOfAProcessCount(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("list", "4:memory,cpu:/old\n0::/user/job\n")
	write("root/user/memory.max", "3000\n")
	write("root/user/job/memory.max", "max\n")
	write("root/memory.max", "5000\n")
	write("root/memory/old/memory.limit_in_bytes", "4000\n")
	got := groupLimits(filepath.Join(dir, "list"), filepath.Join(dir, "root"))
	if !slices.Equal(got, []int64{4000, 3000, 5000}) {
		t.Errorf("%v", got)
	}
}
