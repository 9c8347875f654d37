package metrictemplate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"triality/runtime/metrictemplate"
)

func TestTheCTemplateFindsACompilerUnderAnyOfItsNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("build.sh is for a POSIX shell")
	}
	const finds, findsNot = "/usr/lib/wasm-ld", "wasm-ld"
	for _, c := range []struct {
		name     string
		programs map[string]string // and where each finds its linker
		cc       string
		runs     string // the compiler that builds; empty: none
		with     string // an argument
		says     string
	}{
		{"clang", map[string]string{"clang": finds, "clang-99": finds}, "", "clang", "main.c", ""},
		{"only clang-19, as Debian's package of that name", map[string]string{"clang-19": finds}, "", "clang-19", "my-metric.wasm", ""},
		{"the newest of several", map[string]string{"clang-9": finds, "clang-19": finds, "clang-16": finds, "clang-format-20": finds}, "", "clang-19", "main.c", ""},
		{"one without a linker is passed over", map[string]string{"clang": findsNot, "clang-16": finds}, "", "clang-16", "main.c", ""},
		{"a linker of another name", map[string]string{"clang-19": findsNot, "wasm-ld-18": "", "wasm-ld-9": ""}, "", "clang-19", "-fuse-ld=", ""},
		{"CC", map[string]string{"clang": finds, "mine": finds}, "mine", "mine", "main.c", ""},
		{"none", map[string]string{}, "", "", "", "no clang or clang-NN in PATH"},
		{"no linker", map[string]string{"clang-19": findsNot}, "", "", "", "no wasm-ld or wasm-ld-NN for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := metrictemplate.Write(dir, "c", "my-metric"); err != nil {
				t.Fatal(err)
			}
			bin := filepath.Join(dir, "b-1 n") // with what a careless script trips over
			if err := os.Mkdir(bin, 0o700); err != nil {
				t.Fatal(err)
			}
			for _, tool := range []string{"sh", "ls", "awk", "sort", "cut", "head", "echo"} {
				path, err := exec.LookPath(tool)
				if err != nil {
					t.Skipf("there is no %s in PATH", tool)
				}
				if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
					t.Fatal(err)
				}
			}
			for name, linker := range c.programs {
				script := "#!/bin/sh\ncase \"$*\" in *-print-prog-name*) echo " + linker + ";; *) echo " + name + " \"$@\";; esac\n"
				if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("sh", "build.sh")
			cmd.Dir = filepath.Join(dir, "my-metric")
			cmd.Env = []string{"PATH=" + bin}
			if c.cc != "" {
				cmd.Env = append(cmd.Env, "CC="+c.cc)
			}
			out, err := cmd.CombinedOutput()
			said := string(out)
			if c.runs == "" {
				if err == nil || !strings.Contains(said, c.says) {
					t.Errorf("%v %q, want it to fail saying %q", err, said, c.says)
				}
				return
			}
			if err != nil || !strings.HasPrefix(said, c.runs+" -O3") || !strings.Contains(said, c.with) {
				t.Errorf("%v %q, want %s with %s", err, said, c.runs, c.with)
			}
			if c.with == "-fuse-ld=" && !strings.Contains(said, "wasm-ld-18 ") {
				t.Errorf("%q, want the newest linker", said)
			}
		})
	}
}
