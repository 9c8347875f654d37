package notebook_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments/kinds"
	"triality/experiments/notebook"
)

var update = flag.Bool("update", false, "write the golden files")

// Files that were broken by hand: what each says, by line, and which cells can be used all the same, is in broken.txt.
func TestBrokenNotebooksNameTheirLinesAndTheRestCanBeUsed(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.md")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	const golden = "testdata/broken.txt"
	var have strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		said := saidOf(name, string(text))
		fmt.Fprintf(&have, "%s\n%s", name, said)
		d := notebook.Parse(name, string(text))
		if d.String() != string(text) {
			t.Errorf("%s: it is not printed as it was read", name)
		}
		if crlf := strings.ReplaceAll(string(text), "\n", "\r\n"); saidOf(name, crlf) != said {
			t.Errorf("%s with the line ends of Windows says\n%swant\n%s", name, saidOf(name, crlf), said)
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(have.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != have.String() {
		t.Errorf("%v; the files say\n%s", err, have.String())
	}
}

func saidOf(name, text string) string {
	names, problems := notebook.Parse(name, text).Sound(kinds.All(nil))
	out := ""
	for _, p := range problems {
		out += "  " + strings.ReplaceAll(p.String(), "\r", "") + "\n"
	}
	return out + "  usable: " + strings.Join(names, ", ") + "\n"
}
