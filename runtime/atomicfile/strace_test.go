package atomicfile

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// The recorder sees what package disk is asked for. These tests see what the system is asked for, through
// strace, and have it fail.

// writesVariable makes this test's process the writer: "file PATH" or "folder PATH".
const writesVariable = "TRIALITY_TEST_WRITES"

func TestMain(m *testing.M) {
	what, path, found := strings.Cut(os.Getenv(writesVariable), " ")
	if !found {
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // strace counts the calls to fail in each thread
	write := func() error { return WriteFile(path, 0o644, content("new")) }
	if what == "folder" {
		write = func() error { return WriteFolder(path, fillTwo("new")) }
	}
	switch err := write(); {
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENOSPC):
		os.Exit(5)
	case err != nil:
		os.Exit(6)
	}
	os.Exit(0)
}

// traced runs the writer under strace and gives its exit status and the system calls on files, with the
// paths of their descriptors.
func traced(t *testing.T, what string, options ...string) (status int, calls []string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("strace is of Linux")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not here: ", err)
	}
	if out, err := exec.Command(strace, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace cannot trace here: %v: %s", err, out)
	}
	log := filepath.Join(t.TempDir(), "calls")
	args := append([]string{"-f", "-y", "-qq", "-s", "8", "-o", log, "-e", "trace=fsync,fdatasync,rename,renameat,renameat2"}, options...)
	cmd := exec.Command(strace, append(args, os.Args[0])...)
	cmd.Env = append(os.Environ(), writesVariable+"="+what)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if call := regexp.MustCompile(`(fsync|fdatasync|rename\w*)\(.*`).FindString(line); call != "" {
			calls = append(calls, call)
		}
	}
	return cmd.ProcessState.ExitCode(), calls
}

// inOrder says whether calls match the patterns one after another.
func inOrder(calls []string, patterns ...string) bool {
	for _, call := range calls {
		if len(patterns) > 0 && regexp.MustCompile(patterns[0]).MatchString(call) {
			patterns = patterns[1:]
		}
	}
	return len(patterns) == 0
}

func TestTheSystemIsAskedToFlushBeforeItRenames(t *testing.T) {
	dir := t.TempDir()
	quoted := regexp.QuoteMeta(dir)
	status, calls := traced(t, "file "+filepath.Join(dir, "f"))
	if status != 0 || !inOrder(calls, `^fsync\(\d+<`+quoted+`/\.f\.\d+\.triality-tmp`, `^rename.*"`+quoted+`/f"`, `^fsync\(\d+<`+quoted+`>\)`) {
		t.Errorf("a file: status %d, calls\n%s", status, strings.Join(calls, "\n"))
	}
	out := filepath.Join(dir, "b")
	if err := WriteFolder(out, fillTwo("old")); err != nil {
		t.Fatal(err)
	}
	status, calls = traced(t, "folder "+out)
	tmp := quoted + `/\.b\.triality-tmp`
	if status != 0 || !inOrder(calls, `^fsync\(\d+<`+tmp+`/f>`, `^fsync\(\d+<`+tmp+`/sub/g>`, `^fsync\(\d+<`+tmp+`/sub>`, `^fsync\(\d+<`+tmp+`>`, `^rename.*"`+quoted+`/b"`, `^fsync\(\d+<`+quoted+`>`) {
		t.Errorf("a folder: status %d, calls\n%s", status, strings.Join(calls, "\n"))
	}
	if files(out) != two("new") {
		t.Errorf("the folder holds %q", files(out))
	}
}

func TestWhatTheSystemFailsToDoLeavesTheOldContent(t *testing.T) {
	for _, failure := range []string{"fsync:error=EIO:when=1", "renameat:error=EIO:when=1", "renameat:error=ENOSPC:when=1"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
			t.Fatal(err)
		}
		status, calls := traced(t, "file "+path, "-e", "inject="+failure)
		if got, err := os.ReadFile(path); status != 5 || err != nil || string(got) != "old" || !strings.Contains(strings.Join(calls, "\n"), "(INJECTED)") {
			t.Errorf("%s: status %d, the file holds %q, %v; calls\n%s", failure, status, got, err, strings.Join(calls, "\n"))
		}
		only(t, dir, "f")
		out := filepath.Join(dir, "b")
		if err := WriteFolder(out, fillTwo("old")); err != nil {
			t.Fatal(err)
		}
		failure = strings.Replace(failure, "renameat:", "renameat2:", 1)
		status, calls = traced(t, "folder "+out, "-e", "inject="+failure)
		if status != 5 || files(out) != two("old") {
			t.Errorf("%s: status %d, the folder holds %q; calls\n%s", failure, status, files(out), strings.Join(calls, "\n"))
		}
		only(t, dir, "b", "f")
	}
}
