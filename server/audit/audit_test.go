package audit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
	"triality/runtime/disk/powercut"
)

// some is an entry as the server writes them.
func some(l *Log, i int) Entry {
	switch i % 3 {
	case 0:
		return Entry{Kind: KindRequest, User: "local", Query: Keyed(l.Salt(), fmt.Sprint("query ", i)), Verdict: "ALLOW", Model: strings.Repeat("ab", 32),
			Scores: map[string]float64{"ALLOW": 0.7, "ESCALATION": 0.1, "DENY": 0.15, "REFUSE": 1e-9}}
	case 1:
		return Entry{Kind: KindAnswer, User: "local", Of: int64(i), Outcome: "answered", Sections: map[string]string{"think-task": Keyed(l.Salt(), "x"), "final": Keyed(l.Salt(), "y")}}
	}
	return Entry{Kind: KindReview, User: "local", Of: int64(i - 1), Decision: "deny", Note: "a note with \"quotes\", <tags> & 日本語\u2028"}
}

// filled is a log of so many entries, in segments of at most limit bytes.
func filled(t *testing.T, entries int, limit int64) (dir string, head Head) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "audit")
	l, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.limit = limit
	for i := range entries {
		if _, err := l.Append(some(l, i)); err != nil {
			t.Fatal(err)
		}
	}
	head = l.Head()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, head
}

func problems(t *testing.T, dir string, want *Head) []Problem {
	t.Helper()
	r, err := verify(dir, want)
	if err != nil {
		t.Fatal(err)
	}
	return r.Problems
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestALogThatNobodyChangedHasNoProblem(t *testing.T) {
	for _, entries := range []int{0, 1, 40} {
		dir, head := filled(t, entries, 4000)
		if found := problems(t, dir, &head); len(found) > 0 {
			t.Errorf("%d entries: %v", entries, found)
		}
		n := int64(0)
		if err := Read(dir, func(e Entry) bool { n++; return e.Seq == n }); err != nil || n != int64(entries) {
			t.Errorf("%d of %d entries are read: %v", n, entries, err)
		}
		if err := Read(dir, func(e Entry) bool { return false }); err != nil {
			t.Errorf("reading ends with the first: %v", err)
		}
		again, err := Open(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again.Head() != head {
			t.Errorf("opened again it ends with %v, not %v", again.Head(), head)
		}
		if _, err := Open(dir, nil); experiments.CodeOf(err) != experiments.CodeUnavailable {
			t.Errorf("a second writer: %v", err)
		}
		if _, err := again.Append(some(again, 0)); err != nil {
			t.Error(err)
		}
		again.Close()
		if found := problems(t, dir, &head); len(found) > 0 {
			t.Errorf("%d entries and one: %v", entries, found)
		}
	}
}

// Each byte of each entry is changed, in every log that begins with the entry before it: that the entry itself is wrong
// is enough, since Verify goes through all of them with the same check.
func TestEverySingleByteEditIsFound(t *testing.T) {
	dir, _ := filled(t, 250, SegmentBytes)
	whole := read(t, segmentPath(dir, 1))
	salt, err := Salt(dir)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	edits := 0
	before := chain{hash: genesis(salt)}
	for line := range bytes.Lines(whole) {
		changed := bytes.Clone(line)
		for at := range line {
			for _, b := range []byte{line[at] ^ 1<<random.IntN(8), line[at] ^ 0x20} {
				if b == line[at] {
					continue
				}
				changed[at] = b
				edits++
				now := before
				if _, err := now.check(changed); err == nil {
					t.Fatalf("%q in place of %q is not found", changed, line)
				}
			}
			changed[at] = line[at]
		}
		if _, err := before.check(line); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d edits of %d bytes", edits, len(whole))
	// And through the file, some of them, inserted and removed bytes too.
	for range 50 {
		at := random.IntN(len(whole))
		for name, b := range map[string][]byte{
			"changed":  append(append(bytes.Clone(whole[:at]), whole[at]^byte(1+random.IntN(255))), whole[at+1:]...),
			"removed":  append(bytes.Clone(whole[:at]), whole[at+1:]...),
			"inserted": append(append(bytes.Clone(whole[:at]), byte(random.IntN(256))), whole[at:]...),
		} {
			write(t, segmentPath(dir, 1), b)
			if len(problems(t, dir, nil)) == 0 {
				t.Errorf("byte %d %s: not found", at, name)
			}
		}
	}
	write(t, segmentPath(dir, 1), whole)
	if found := problems(t, dir, nil); len(found) > 0 {
		t.Error(found)
	}
	// And those of the two files beside it.
	for _, name := range []string{anchorName, saltName} {
		path := filepath.Join(dir, name)
		was := read(t, path)
		for at := range was {
			changed := bytes.Clone(was)
			changed[at] ^= 1
			write(t, path, changed)
			if len(problems(t, dir, nil)) == 0 {
				t.Errorf("byte %d of %s: not found", at, name)
			}
		}
		write(t, path, was)
	}
}

func TestWhatIsRemovedMovedOrAddedIsFound(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string, all []segment){
		"the first entry": func(t *testing.T, dir string, all []segment) {
			edit(t, all[0], func(l [][]byte) [][]byte { return l[1:] })
		},
		"an entry in the middle": func(t *testing.T, dir string, all []segment) {
			edit(t, all[1], func(l [][]byte) [][]byte { return append(l[:1], l[2:]...) })
		},
		"the last entry": func(t *testing.T, dir string, all []segment) {
			edit(t, all[len(all)-1], func(l [][]byte) [][]byte { return l[:len(l)-1] })
		},
		"two entries exchanged": func(t *testing.T, dir string, all []segment) {
			edit(t, all[1], func(l [][]byte) [][]byte { l[0], l[1] = l[1], l[0]; return l })
		},
		"an entry twice": func(t *testing.T, dir string, all []segment) {
			edit(t, all[1], func(l [][]byte) [][]byte { return append(l, l[len(l)-1]) })
		},
		"an empty line": func(t *testing.T, dir string, all []segment) {
			edit(t, all[1], func(l [][]byte) [][]byte { return append(l, []byte("\n")) })
		},
		"half of the last entry": func(t *testing.T, dir string, all []segment) {
			edit(t, all[len(all)-1], func(l [][]byte) [][]byte { l[len(l)-1] = l[len(l)-1][:40]; return l })
		},
		"the last segment":        func(t *testing.T, dir string, all []segment) { os.Remove(all[len(all)-1].path) },
		"the first segment":       func(t *testing.T, dir string, all []segment) { os.Remove(all[0].path) },
		"a segment in the middle": func(t *testing.T, dir string, all []segment) { os.Remove(all[1].path) },
		"a segment's name": func(t *testing.T, dir string, all []segment) {
			os.Rename(all[1].path, segmentPath(dir, all[1].first+1))
		},
		"a segment emptied": func(t *testing.T, dir string, all []segment) { os.Truncate(all[1].path, 0) },
		"the anchor":        func(t *testing.T, dir string, all []segment) { os.Remove(filepath.Join(dir, anchorName)) },
		"all entries, not the end": func(t *testing.T, dir string, all []segment) {
			for _, s := range all {
				os.Remove(s.path)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := filled(t, 30, 4000)
			all, err := segments(dir)
			if err != nil || len(all) < 3 {
				t.Fatal(all, err)
			}
			change(t, dir, all)
			found := problems(t, dir, nil)
			if len(found) == 0 {
				t.Fatal("not found")
			}
			t.Log(found[0])
		})
	}
}

// edit changes a segment's lines.
func edit(t *testing.T, s segment, change func([][]byte) [][]byte) {
	var lines [][]byte
	for line := range bytes.Lines(read(t, s.path)) {
		lines = append(lines, line)
	}
	write(t, s.path, bytes.Join(change(lines), nil))
}

func TestALogWrittenAnewFromItsMiddleIsFoundByAHeadThatWasKept(t *testing.T) {
	dir, kept := filled(t, 10, SegmentBytes)
	path := segmentPath(dir, 1)
	edit(t, segment{path, 1}, func(l [][]byte) [][]byte { return l[:4] })
	l := &Log{}
	e, err := parse(bytes.SplitAfter(read(t, path), []byte("\n"))[3])
	if err != nil {
		t.Fatal(err)
	}
	if err := writeAnchor(dir, Head{e.Seq, e.Hash}); err != nil {
		t.Fatal(err)
	}
	if l, err = Open(dir, nil); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if _, err := l.Append(some(l, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	if found := problems(t, dir, nil); len(found) > 0 {
		t.Fatalf("who writes every file can write another log: %v", found)
	}
	if found := problems(t, dir, &kept); len(found) != 1 || !strings.Contains(found[0].Text, "which the log had") {
		t.Errorf("%v", found)
	}
	if same, err := ParseHead(kept.String()); err != nil || same != kept {
		t.Error(same, err)
	}
	for _, wrong := range []string{"", "3", "x:" + kept.Hash, "3:zz", "-1:" + kept.Hash, "3:" + strings.ToUpper(kept.Hash)} {
		if _, err := ParseHead(wrong); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestALogThatWasChangedIsNotWrittenOn(t *testing.T) {
	dir, _ := filled(t, 10, SegmentBytes)
	path := segmentPath(dir, 1)
	was := read(t, path)
	for name, b := range map[string][]byte{
		"shorter": was[:len(was)-200], "changed in the last entry": append(bytes.Clone(was[:len(was)-30]), append([]byte("0000000000"), was[len(was)-20:]...)...),
		"two entries more": append(append(bytes.Clone(was), was...), was...),
	} {
		write(t, path, b)
		if l, err := Open(dir, nil); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: %v %v", name, l, err)
		}
	}
}

func TestAnEntryOutlivesAPowerCutOnceAppended(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "audit")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	rec := powercut.Record(t, dir)
	l, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.limit = 1200 // several segments
	const entries = 6
	for i := range entries {
		if _, err := l.Append(some(l, i)); err != nil {
			t.Fatal(err)
		}
		rec.Mark(fmt.Sprint(i + 1))
	}
	l.Close()
	rec.Check(t, func(cut powercut.Cut) error {
		least := int64(0)
		for cut.Marked(fmt.Sprint(least + 1)) {
			least++
		}
		l, err := Open(cut.Dir, nil)
		if err != nil {
			return err
		}
		head := l.Head()
		if head.Seq < least || head.Seq > least+1 {
			err = fmt.Errorf("it ends with entry %d, %d were appended", head.Seq, least)
		}
		if err == nil {
			_, err = l.Append(some(l, 0))
		}
		l.Close()
		if err != nil {
			return err
		}
		r, err := verify(cut.Dir, &head)
		if err == nil && len(r.Problems) > 0 {
			err = fmt.Errorf("%v", r.Problems)
		}
		return err
	})
}

func TestAnEntryThatIsNotDurableIsAnError(t *testing.T) {
	dir, _ := filled(t, 2, SegmentBytes)
	l, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.file.Close()
	if _, err := l.Append(some(l, 0)); err == nil {
		t.Error("it is said to be written")
	}
	if _, err := l.Append(some(l, 0)); experiments.CodeOf(err) != experiments.CodeUnavailable {
		t.Errorf("the next one: %v", err)
	}
	if _, err := l.Append(Entry{Note: strings.Repeat("x", maxLine)}); err == nil {
		t.Error("an entry of any length is taken")
	}
}

func FuzzParse(f *testing.F) {
	e := Entry{Seq: 1, Kind: KindRequest, User: "local", Previous: genesis(nil)}
	line, err := e.seal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(line)
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := parse(line)
		if err != nil {
			return
		}
		if again, err := e.seal(); err != nil || !bytes.Equal(again, line) {
			t.Errorf("%q is read, and written as %q", line, again)
		}
	})
}
