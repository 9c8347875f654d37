package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"triality/runtime/disk"
)

// dyingVariable makes a child process end itself where its files are in a certain state, so that no test
// depends on how fast the machine is: "before N" at its N-th operation on files of the working folder,
// "before KIND PATTERN" or "after KIND PATTERN" at the first one of a kind whose path, or for a rename
// whose new path, matches; "soon after …" some milliseconds later, with further operations waiting;
// "interrupt after …" by the signal that Ctrl-C sends.
const dyingVariable = "TRIALITY_TEST_DIES"

// armToDie does what dyingVariable says in this process.
func armToDie() error {
	text := os.Getenv(dyingVariable)
	if text == "" {
		return nil
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	die := func() {
		self.Kill()
		select {}
	}
	how, point, found := strings.Cut(text, "before ")
	if !found {
		how, point, _ = strings.Cut(text, "after ")
	}
	kind, pattern, _ := strings.Cut(point, " ")
	nth, _ := strconv.Atoi(point)
	var count atomic.Int64
	var met atomic.Bool
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	disk.Watch(dir, func(op disk.Op, do func() error) error {
		path := op.Path
		if op.Kind == disk.OpRename {
			path = op.To
		}
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsAbs(path) {
			path = rel
		}
		here, _ := filepath.Match(pattern, filepath.ToSlash(path))
		here = here && string(op.Kind) == kind || int(count.Add(1)) == nth
		if met.Load() && how == "soon " {
			select {}
		}
		if !here || !met.CompareAndSwap(false, true) {
			return do()
		}
		if strings.HasPrefix(text, "before ") {
			die()
		}
		err := do()
		switch how {
		case "soon ":
			time.AfterFunc(7*time.Millisecond, die)
		case "interrupt ":
			self.Signal(os.Interrupt)
		default:
			die()
		}
		return err
	})
	return nil
}

// dies runs a command with dyingVariable and says whether it was killed; any other failure is the test's.
func dies(t *testing.T, dir, point string, args ...string) bool {
	t.Helper()
	cmd := triality(t, dir, args...)
	cmd.Env = append(os.Environ(), dyingVariable+"="+point)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	// A signal's status is -1; Windows gives the 1 of TerminateProcess.
	if failed, ok := err.(*exec.ExitError); !ok || failed.ExitCode() > 0 && runtime.GOOS != "windows" {
		t.Fatalf("%s: %v\n%s", point, err, out)
	}
	return true
}

func TestAConversionKilledAtEveryOperationLeavesTheOldDatasetOrTheNew(t *testing.T) {
	dir := t.TempDir()
	convert := []string{"convert", "--input", "rows.jsonl", "--no-tokenize", "--output", "c"}
	data := func(n int) {
		if err := os.WriteFile(filepath.Join(dir, "rows.jsonl"), []byte(rows(n)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fingerprint := func() string {
		files := map[string]string{}
		err := filepath.WalkDir(filepath.Join(dir, "c", "dataset"), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			files[path] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%q", files)
	}
	data(40)
	mustRun(t, dir, convert...)
	old := fingerprint()
	data(64)
	n, seen := 1, map[bool]int{}
	for ; dies(t, dir, fmt.Sprint("before ", n), convert...); n++ {
		now := fingerprint()
		seen[now == old]++
		if now == old {
			continue
		}
		// The new one, whole: the next call, undisturbed, makes the same.
		mustRun(t, dir, convert...)
		if fingerprint() != now {
			t.Fatalf("killed at operation %d: the dataset is neither the old nor the new one", n)
		}
		data(40)
		mustRun(t, dir, convert...)
		data(64)
	}
	if n < 20 || seen[true] == 0 || seen[false] == 0 {
		t.Errorf("%d operations; the old dataset was left %d times, the new one %d times", n, seen[true], seen[false])
	}
	entries, err := os.ReadDir(filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() != (e.Name() == "dataset") {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}
