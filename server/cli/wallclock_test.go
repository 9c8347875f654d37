//go:build linux

package cli

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// wallVariable is by how many seconds the wall clock of a program of buildWithWall is wrong.
const wallVariable = "TRIALITY_TEST_WALL_SHIFT"

// buildWithWall builds this program so that its wall clock can be set: no system has a wall clock for each process, so
// the compiler gets a changed copy of the standard library's time.Now. The system's own times, as those of files, stay.
func buildWithWall(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatalf("wall clocks an hour apart need the go command: %v", err)
	}
	dir, source := t.TempDir(), filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const reads, imports = "\tsec, nsec, mono := runtimeNow()\n", "import (\n"
	if strings.Count(string(text), reads) != 1 || strings.Count(string(text), imports) != 1 {
		t.Fatalf("%s does not read the clock as it did; this test must follow it", source)
	}
	changed := strings.Replace(string(text), reads, reads+"\tsec += wallShift\n", 1)
	changed = strings.Replace(changed, imports, imports+"\t\"syscall\"\n", 1) + `
var wallShift = func() (seconds int64) {
	text, _ := syscall.Getenv("` + wallVariable + `")
	for _, c := range text {
		if c != '-' {
			seconds = seconds*10 + int64(c-'0')
		}
	}
	if len(text) > 0 && text[0] == '-' {
		return -seconds
	}
	return seconds
}()
`
	copied, overlay, exe := filepath.Join(dir, "time.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "triality")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: copied}})
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{copied: []byte(changed), overlay: replace} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", exe, "triality").CombinedOutput(); err != nil {
		t.Fatalf("build with a wall clock of its own: %v: %s", err, out)
	}
	return exe
}
