// Release makes the archives of a release: for each supported system the program, what its README's
// commands need, and the licences of everything inside, and the archives' checksums.
//
//	release FOLDER
//
// It runs in the project's root, after the web pages and the metric modules were built. The same commit
// gives the same bytes.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// systems are those that CI compiles for.
var systems = []system{
	{"linux", "amd64"}, {"linux", "arm64"}, {"windows", "amd64"}, {"windows", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"},
}

type system struct{ os, arch string }

// carried are the files that go beside the program: patterns below the project's root.
var carried = []string{
	"LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md", "configs/*.yaml", "configs/sample/*", "docs/*.md",
	"wasm-metrics/ABI.md", "wasm-metrics/dist/*.wasm",
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: release FOLDER")
		os.Exit(2)
	}
	if err := release(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func release(out string) error {
	commit, err := commitTime()
	if err != nil {
		return err
	}
	files, err := carriedFiles()
	if err != nil {
		return err
	}
	version, err := programVersion()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	var sums strings.Builder
	for _, s := range systems {
		path, err := s.pack(out, version, files, commit)
		if err != nil {
			return fmt.Errorf("%s/%s: %w", s.os, s.arch, err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(data), filepath.Base(path))
		fmt.Printf("%s  %.1f MB\n", path, float64(len(data))/1e6)
	}
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}

// pack builds the program for one system and writes its archive.
func (s system) pack(out, version string, files []file, modified time.Time) (path string, err error) {
	program, err := os.CreateTemp("", "triality-release-*")
	if err != nil {
		return "", err
	}
	program.Close()
	defer os.Remove(program.Name())
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program.Name(), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+s.os, "GOARCH="+s.arch)
	if text, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, text)
	}
	licences, err := licences(s)
	if err != nil {
		return "", err
	}
	name, extension := "triality", ".tar.gz"
	if s.os == "windows" {
		name, extension = "triality.exe", ".zip"
	}
	all := append([]file{{name: name, path: program.Name(), mode: 0o755}, {name: "THIRD_PARTY_LICENSES.txt", content: licences, mode: 0o644}}, files...)
	folder := fmt.Sprintf("triality_%s_%s_%s", version, s.os, s.arch)
	path = filepath.Join(out, folder+extension)
	return path, writeArchive(path, folder, all, modified)
}

func carriedFiles() ([]file, error) {
	var files []file
	for _, pattern := range carried {
		paths, err := filepath.Glob(filepath.FromSlash(pattern))
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("there is no %s; build first (`task release` does)", pattern)
		}
		for _, p := range paths {
			files = append(files, file{name: filepath.ToSlash(p), path: p, mode: 0o644})
		}
	}
	return files, nil
}

// programVersion asks the program, so that the version stands in one place.
func programVersion() (string, error) {
	out, err := exec.Command("go", "run", ".", "version").Output()
	if err != nil {
		return "", fmt.Errorf("triality version: %w", err)
	}
	words := strings.Fields(string(out)) // triality 0.1.0, engine …
	if len(words) < 2 {
		return "", fmt.Errorf("triality version prints %q", out)
	}
	return strings.TrimSuffix(words[1], ","), nil
}

// commitTime is the date of everything inside an archive.
func commitTime() (time.Time, error) {
	out, err := exec.Command("git", "log", "-1", "--format=%ct").Output()
	if err != nil {
		return time.Time{}, fmt.Errorf("git log: %w", err)
	}
	seconds, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
	return time.Unix(seconds, 0).UTC(), err
}
