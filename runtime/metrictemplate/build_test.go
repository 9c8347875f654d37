package metrictemplate_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"triality/runtime/metrictemplate"
)

// npmModules is where `npm ci` put what two of the languages are built with.
var npmModules = filepath.Join("..", "..", "wasm-metrics", "node_modules")

// built keeps each language's module: several tests use it.
var built = struct {
	sync.Mutex
	wasm map[string][]byte
}{wasm: map[string][]byte{}}

// module writes a language's template into a folder outside the project,
// builds it by the README's commands and returns the module. It skips, saying
// why, where the toolchain is missing.
func module(t *testing.T, lang string) []byte {
	t.Helper()
	return build(t, lang, lang, nil)
}

// build is module with files of the template replaced, kept under a key.
func build(t *testing.T, lang, key string, replace map[string]string) []byte {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if b := built.wasm[key]; b != nil {
		return b
	}
	shims := t.TempDir()
	if reason := toolchain(t, lang, shims); reason != "" {
		t.Skipf("%s is not built: %s", lang, reason)
	}
	dir := t.TempDir()
	name := "brier-" + lang
	if err := metrictemplate.Write(dir, lang, name); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, name)
	for file, text := range replace {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(strings.ReplaceAll(text, "@NAME@", name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range commands(t, filepath.Join(folder, "README.md")) {
		if line == "npm install" { // the same packages, without a network
			modules, err := filepath.Abs(npmModules)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(modules, filepath.Join(folder, "node_modules")); err != nil {
				t.Fatal(err)
			}
			continue
		}
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "PATH="+shims+string(os.PathListSeparator)+os.Getenv("PATH"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	b, err := os.ReadFile(filepath.Join(folder, name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	built.wasm[key] = b
	return b
}

// commands are the lines of a README's first block of shell.
func commands(t *testing.T, readme string) []string {
	t.Helper()
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(b), "```sh\n")
	block, _, ended := strings.Cut(rest, "\n```")
	if !found || !ended {
		t.Fatalf("%s has no block of shell", readme)
	}
	return strings.Split(block, "\n")
}

// toolchain puts shims for a language's compiler into a folder, where it goes
// by another name than the README's, and returns why it cannot be used.
func toolchain(t *testing.T, lang, shims string) string {
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS == "windows" {
		return "the README's commands are for a POSIX shell"
	}
	switch lang {
	case "go":
		if _, err := exec.LookPath("go"); err != nil {
			return "there is no go in PATH"
		}
	case "assemblyscript", "wat":
		if _, err := os.Stat(npmModules); err != nil {
			return "wasm-metrics/node_modules is missing; run `npm ci` in wasm-metrics"
		}
		if _, err := exec.LookPath("npm"); err != nil {
			return "there is no npm in PATH"
		}
	case "c":
		return clang()
	case "rust":
		return rustc(t, shims)
	default:
		t.Fatalf("no toolchain known for %s", lang)
	}
	return ""
}

// clang says why there is none; build.sh finds it under any of its names.
func clang() string {
	for _, name := range []string{"clang", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang-15", "clang-14"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		linker, err := exec.Command(path, "--target=wasm32", "-print-prog-name=wasm-ld").Output()
		if err == nil && filepath.IsAbs(strings.TrimSpace(string(linker))) {
			return ""
		}
	}
	return "no clang in PATH finds a wasm-ld"
}

func rustc(t *testing.T, shims string) string {
	paths := []string{os.Getenv("RUSTC")}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		paths = append(paths, filepath.Join(dir, "rustc"))
	}
	reason := "there is no rustc in PATH"
	for _, path := range paths {
		out, err := exec.Command(path, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err != nil {
			continue
		}
		if libs, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "libcore-*")); err != nil || len(libs) == 0 {
			reason = "no rustc in PATH has the target wasm32-unknown-unknown"
			continue
		}
		// Debian's has no linker of its own; its libraries need an lld of its time.
		reason = path + " finds neither rust-lld nor wasm-ld"
		for _, linker := range []string{"", "wasm-ld-14", "wasm-ld-16", "wasm-ld"} {
			args := []string{path}
			if linker != "" {
				args = append(args, "-C", "linker="+linker)
			}
			if links(t, args) {
				shim(t, shims, "rustc", args...)
				return ""
			}
		}
	}
	return reason
}

// links tries a compiler on the smallest program.
func links(t *testing.T, rustc []string) bool {
	dir := t.TempDir()
	source := filepath.Join(dir, "a.rs")
	const text = "#![no_std]\n#[panic_handler] fn p(_: &core::panic::PanicInfo) -> ! { loop {} }\n"
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(rustc[1:len(rustc):len(rustc)], "--target", "wasm32-unknown-unknown", "-C", "panic=abort", "--crate-type", "cdylib",
		"-o", filepath.Join(dir, "a.wasm"), source)
	return exec.Command(rustc[0], args...).Run() == nil
}

// shim makes a command of that name that runs another.
func shim(t *testing.T, dir, name string, command ...string) {
	t.Helper()
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' \"$@\"\n", strings.Join(command, "' '"))
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
}
