package books

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
)

// git changes the files below an open page: nothing of the page's, of the branch's or of what was there is lost, and no write
// goes over a text that its writer has not seen.
func TestAGitCheckoutUnderAnOpenPageIsNeverOverwrittenSilently(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	f, dir := newFolder(t)
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "core.autocrlf=false"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	other := strings.Replace(three, "lora_r: 8", "lora_r: 4", 1)
	put(t, dir, "n.md", three)
	git("init", "-q", "-b", "main")
	git("add", "n.md")
	git("commit", "-qm", "eight")
	git("checkout", "-qb", "four")
	put(t, dir, "n.md", other)
	git("commit", "-qam", "four")
	git("checkout", "-qb", "none")
	git("rm", "-q", "n.md")
	git("commit", "-qm", "none")
	git("checkout", "-q", "main")

	page, err := f.Read("n.md")
	if err != nil {
		t.Fatal(err)
	}
	mine := strings.Replace(three, "lora_r: 8", "lora_r: 16", 1)
	git("checkout", "-q", "four")
	_, err = f.Write("n.md", mine, page.Revision)
	conflict(t, err, other)
	seen, err := f.Read("n.md")
	if err != nil || seen.Text != other {
		t.Fatalf("the branch's text is %q, %v", seen.Text, err)
	}
	page = write(t, f, "n.md", mine, seen.Revision) // its reader chose
	git("checkout", "-qf", "none")
	if _, err := f.Write("n.md", mine+"more", page.Revision); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("a page of a file that the branch has not wrote it: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "n.md")); err == nil {
		t.Error("the file is there again")
	}
	git("checkout", "-q", "main")
	_, err = f.Write("n.md", mine+"more", page.Revision)
	conflict(t, err, three)
	// What the branch had and what was written over it are both in the history.
	history, err := f.History("n.md")
	if err != nil {
		t.Fatal(err)
	}
	had := map[string]bool{}
	for _, v := range history {
		b, err := f.Version("n.md", v.Revision)
		if err != nil {
			t.Fatal(err)
		}
		had[b.Text] = true
	}
	if !had[other] || !had[mine] {
		t.Errorf("the history has %d texts", len(had))
	}
}
