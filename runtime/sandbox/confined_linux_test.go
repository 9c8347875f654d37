package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// confined names, in the environment, what this program does instead of
// testing, in surroundings that are short of something.
const confined = "TRIALITY_TEST_CONFINED"

// confinedMain evaluates a module and prints what came of it.
func confinedMain(scenario string) int {
	m, o := wasmtest.Good(), sandbox.Options{Timeout: time.Minute, MemoryBytes: 512 << 20}
	rows := 1
	memoryFilter := map[string]uint32{"seccomp denies": unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM), "seccomp kills": unix.SECCOMP_RET_KILL_PROCESS}
	switch scenario {
	case "seccomp denies", "seccomp kills":
		if err := filterAndRestart(memoryFilter[scenario]); err != nil {
			fmt.Println(err)
		}
		return 1
	case "loops":
		m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body)
		o.Fuel = 1 << 62
	case "eats":
		m.Eval.Body = wasmtest.Cat([]byte{0x03, 0x40}, wasmtest.I32c(100), []byte{0x40, 0}, wasmtest.I32c(-1), []byte{0x47, 0x0d, 0, 0x0b}, wasmtest.Unreachable)
	case "deleted":
		if err := os.Remove(os.Args[0]); err != nil {
			fmt.Println(err)
			return 1
		}
	case "replaced":
		if err := os.Rename(os.Args[0]+".new", os.Args[0]); err != nil {
			fmt.Println(err)
			return 1
		}
	case "large results":
		values := make([]float64, 16<<10) // of a column, 128 KiB
		m.Pages = 16
		m.Returns(wasmtest.Results(wasmtest.Value{Name: "x", Kind: 1, V: []float64{2}}, wasmtest.Value{Name: "c", Kind: 3, V: values}))
		rows = len(values)
		m.Alloc.Body = wasmtest.I32c(8 * 65536)
	case "cache":
		o.CacheDir = filepath.Join(os.Getenv("HOME"), "cache")
		m.More = make([]wasmtest.Function, 5000)
	}
	h, err := sandbox.NewHost(o)
	if err != nil {
		fmt.Println("NewHost:", err)
		return 1
	}
	defer h.Close()
	results, u, err := h.Evaluate(context.Background(), m.Bytes(), table(rows), nil)
	if len(results) > 1 {
		results = results[:1]
	}
	var e *sandbox.Error
	if errors.As(err, &e) {
		fmt.Printf("code %s\n", string(e.Code))
	}
	fmt.Printf("results %v\nerror %v\nnotes %s\n", results, err, strings.Join(u.Notes, "; "))
	return 0
}

// filterAndRestart starts this program over under a system call filter with an
// answer to prlimit64 of RLIMIT_CORE, which only a worker calls.
func filterAndRestart(answer uint32) error {
	runtime.LockOSThread()
	const number, second = 0, 24 // where a call's number and its second argument stand
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: uint32(unix.SYS_PRLIMIT64)},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: second},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.RLIMIT_CORE},
		{Code: unix.BPF_RET | unix.BPF_K, K: answer},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&fprog)), 0, 0); err != nil {
		return err
	}
	if err := os.Setenv(confined, "plain"); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}

// under runs a scenario in a shell after a command, and returns what it said.
func under(t *testing.T, command, scenario string) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return underAs(t, exe, command, scenario)
}

func underAs(t *testing.T, exe, command, scenario string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", command+` && exec "$0"`, exe)
	cmd.Env = append(os.Environ(), confined+"="+scenario, "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return string(out)
}

func wants(t *testing.T, said string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(said, p) {
			t.Errorf("it said\n%s\nwithout %q", said, p)
		}
	}
}

func TestLimitsThatAProcessWasStartedWithHoldAndAreNamed(t *testing.T) {
	good := "results [{x scalar [2]"
	t.Run("less address space", func(t *testing.T) {
		needsAddressSpace(t)
		said := under(t, "ulimit -v 2000000", "plain")
		wants(t, said, good, "notes ulimit -v leaves ", "a module's memory may reach")
	})
	t.Run("and a module that wants more", func(t *testing.T) {
		needsAddressSpace(t)
		wants(t, under(t, "ulimit -v 2000000", "eats"), "code memory", "bytes of memory (ulimit -v leaves")
	})
	t.Run("too little address space", func(t *testing.T) {
		if withCgo {
			t.Skip("the program is built without cgo, whose threads fail in ways of their own; run with CGO_ENABLED=0")
		}
		wants(t, under(t, "ulimit -v 1350000", "plain"), "code worker", "ulimit -v")
	})
	t.Run("less data", func(t *testing.T) {
		wants(t, under(t, "ulimit -d 500000", "plain"), good, "notes ulimit -d leaves ")
	})
	t.Run("less processor time", func(t *testing.T) {
		wants(t, under(t, "ulimit -t 2", "plain"), good, "notes ulimit -t leaves 2 s")
		wants(t, under(t, "ulimit -t 2", "loops"), "code timeout", "its processor limit of 2 s (ulimit -t leaves 2 s")
	})
	t.Run("smaller files", func(t *testing.T) {
		said := under(t, "ulimit -f 8", "cache") // 4 KiB
		wants(t, said, good, "file too large", "compiled without it")
		wants(t, under(t, "ulimit -f 256", "large results"), good, "error <nil>") // 128 KiB: the table fits, the results behind it do not
	})
	t.Run("limits above what is asked for", func(t *testing.T) {
		wants(t, under(t, "ulimit -v 100000000 && ulimit -t 100000", "plain"), good, "notes \n")
	})
}

// needsAddressSpace skips a test that takes address space away where the race detector is on: it reserves more
// than such a limit leaves before the program begins, as addresses happen to fall.
func needsAddressSpace(t *testing.T) {
	t.Helper()
	if raced {
		t.Skip("a program with the race detector does not start under a small ulimit -v")
	}
}

func TestWhatKeepsAWorkerFromStartingIsNamedAndNoModuleBlamed(t *testing.T) {
	t.Run("a filter that denies limits", func(t *testing.T) {
		wants(t, under(t, "true", "seccomp denies"), "code worker", "operation not permitted", "a system call filter (seccomp) forbids it")
	})
	t.Run("a filter that kills", func(t *testing.T) {
		wants(t, under(t, "true", "seccomp kills"), "code worker", "a system call filter (seccomp) killed the worker")
	})
	t.Run("no /proc", func(t *testing.T) {
		empty := t.TempDir()
		if out, err := exec.Command("unshare", "-m", "mount", "--bind", empty, "/proc").CombinedOutput(); err != nil {
			t.Skipf("/proc cannot be hidden here, which takes root: %v %s", err, out)
		}
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("unshare", "-m", "sh", "-c", `mount --bind "$1" /proc && exec "$0"`, exe, empty)
		cmd.Env = append(os.Environ(), confined+"=plain")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		wants(t, string(out), "code worker", "metric modules need /proc, which is not mounted here")
	})
	t.Run("a kill from outside", func(t *testing.T) {
		h := host(t, func(o *sandbox.Options) { o.Timeout = time.Minute })
		go func() {
			for {
				if pid := childOf(os.Getpid()); pid != "" && isBusy(pid) {
					_ = exec.Command("kill", "-KILL", pid).Run() // tried until the call returns
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}()
		_, err := evaluate(t, h, wasmtest.Good().With(func(m *wasmtest.Metric) { m.Eval.Body = wasmtest.Cat(wasmtest.Forever, m.Eval.Body) }))
		if !errors.Is(err, sandbox.ErrWorker) || !strings.Contains(err.Error(), "killed from outside (SIGKILL)") || !strings.Contains(err.Error(), "running out of memory") {
			t.Error(err)
		}
	})
}

// isBusy reports whether a process has used some processor time.
func isBusy(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	return len(f) > 11 && len(f[11]) > 1 // utime in ticks, of two digits
}

func TestAWorkerIsTheProgramThatRunsWhateverBecameOfItsFile(t *testing.T) {
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	copied := func(t *testing.T) string {
		path := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(path, self, 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("deleted", func(t *testing.T) {
		wants(t, underAs(t, copied(t), "true", "deleted"), "results [{x scalar [2]", "error <nil>")
	})
	t.Run("replaced by another", func(t *testing.T) {
		path := copied(t)
		if err := os.WriteFile(path+".new", []byte("#!/bin/sh\nexit 7\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		wants(t, underAs(t, path, "true", "replaced"), "results [{x scalar [2]", "error <nil>")
	})
}
