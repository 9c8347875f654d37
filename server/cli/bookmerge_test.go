package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments/kinds"
	"triality/experiments/notebook"
)

const mergedBook = `---
title: Rows
output_dir: work
device: cpu
---

# Rows

` + "```triality convert id=short" + `
data: {input_path: rows.jsonl, max_length: 64, val_ratio: 0.2, test_ratio: 0.2}
` + "```" + `

Between them.

` + "```triality convert id=long" + `
data: {input_path: rows.jsonl, max_length: 96, val_ratio: 0.2, test_ratio: 0.2}
` + "```" + `
`

// Two people change cells that stand apart, on two branches: git merges them by itself, and the notebook has both changes
// and the results of both.
func TestTwoBranchesMergedByGitOpenAndRun(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "b.md")
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "core.autocrlf=false"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	read := func() *notebook.Document {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return notebook.Parse("b.md", string(text))
	}
	edit := func(id, old, to string) {
		t.Helper()
		d := read()
		for _, b := range d.Cells() {
			if b.Cell.ID == id {
				if err := d.SetBody(id, strings.Replace(b.Cell.Body, old, to, 1)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.WriteFile(file, []byte(d.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		mustRun(t, dir, "run", "b.md") // each has the results of its own text
	}
	for path, text := range map[string]string{file: mergedBook, filepath.Join(dir, "rows.jsonl"): rows(32), filepath.Join(dir, ".gitignore"): "work\ndata\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-qm", "a notebook")
	git("checkout", "-qb", "longer")
	edit("long", "96", "128")
	git("commit", "-qam", "longer rows")
	git("checkout", "-q", "main")
	edit("short", "64", "48")
	git("commit", "-qam", "shorter rows")
	git("merge", "-q", "--no-edit", "longer")

	d := read()
	if p := d.Check(kinds.All(nil)); len(p) > 0 {
		t.Errorf("%v", p)
	}
	diff := notebook.Differ(notebook.Parse("b.md", mergedBook), d, kinds.All(nil))
	if len(diff.Changed) != 2 || diff.Changed[0].Keys[0] != (notebook.KeyChange{Key: "data.max_length", Was: "64", Is: "48"}) ||
		diff.Changed[1].Keys[0] != (notebook.KeyChange{Key: "data.max_length", Was: "96", Is: "128"}) || diff.Prose || len(diff.Stale) != 2 {
		t.Errorf("%+v", diff)
	}
	out, err := triality(t, dir, "run", "--plan", "b.md").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "nothing to run") {
		t.Errorf("the merged notebook does not find what its branches computed: %v\n%s", err, out)
	}
	mustRun(t, dir, "run", "b.md")
}
