package powercut

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Cut is one state that a power cut can have left.
type Cut struct {
	Dir   string // a folder with that state, the check's to change
	marks []string
}

// Marked says whether Mark(name) was called before the cut.
func (c Cut) Marked(name string) bool { return slices.Contains(c.marks, name) }

// Check calls check with every state that a cut before, between and after the recorded operations can
// have left, and fails the test where it returns an error: a broken promise. A process that was killed
// leaves one of those states too.
func (r *Recorder) Check(t testing.TB, check func(Cut) error) {
	t.Helper()
	const shown = 3
	broken := r.Broken(t, check)
	for _, err := range broken[:min(shown, len(broken))] {
		t.Error(err)
	}
	if len(broken) > shown {
		t.Errorf("and %d more states break the promise", len(broken)-shown)
	}
}

// Broken is Check that returns the broken promises.
func (r *Recorder) Broken(t testing.TB, check func(Cut) error) []error {
	t.Helper()
	r.Stop()
	r.mu.Lock()
	log := slices.Clone(r.log)
	r.mu.Unlock()
	if len(r.Ops()) == 0 {
		t.Fatal("powercut: no operation was recorded: the code does not change files below the folder through package disk")
	}
	var (
		broken []error
		marks  []string
		base   = t.TempDir()
		now    = r.start.clone()
		seen   = map[[sha256.Size]byte]bool{}
		states int
	)
	try := func(done int) {
		for _, o := range now.outcomes() {
			im := now.image(o)
			sum := im.digest()
			if seen[sum] {
				continue
			}
			seen[sum] = true
			states++
			dir := filepath.Join(base, "cut")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := im.write(dir); err != nil {
				t.Fatalf("powercut: %v", err)
			}
			if err := check(Cut{dir, slices.Clone(marks)}); err != nil {
				broken = append(broken, fmt.Errorf("cut after %s: %w\nthe folder was left as:\n%s", describe(log[:done]), err, im))
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		}
	}
	try(0)
	for i, e := range log {
		if e.mark != "" {
			marks = append(marks, e.mark)
			clear(seen) // the same state may be promised more now
		} else if err := now.apply(e.op); err != nil {
			t.Fatalf("powercut: %v", err)
		}
		try(i + 1)
	}
	t.Logf("%d operations, %d states", len(r.Ops()), states)
	return broken
}

// describe tells the last events of a log.
func describe(log []event) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d operations and marks", len(log))
	for _, e := range log[max(0, len(log)-12):] {
		if e.mark != "" {
			fmt.Fprintf(&b, "\n  marked %q", e.mark)
		} else {
			fmt.Fprintf(&b, "\n  %s", e.op)
		}
	}
	return b.String()
}

func (im image) String() string {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(im)) {
		n := im[path]
		switch {
		case n.kind.IsDir():
			fmt.Fprintf(&b, "  %s/\n", path)
		case n.target != "":
			fmt.Fprintf(&b, "  %s -> %s\n", path, n.target)
		default:
			fmt.Fprintf(&b, "  %s (%d bytes) %.40q\n", path, len(n.data), n.data)
		}
	}
	if b.Len() == 0 {
		return "  (nothing)"
	}
	return strings.TrimSuffix(b.String(), "\n")
}
