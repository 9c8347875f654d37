package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// licenceFile is how modules name the files that must travel with their code.
var licenceFile = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// bundled are the licences of what is inside the binary and the metric modules and is no Go module.
var bundled = []struct{ what, path string }{
	{"the web pages' packages", "frontend/dist/licenses.md"},
	{"the report's packages", "frontend/dist/report/licenses.md"},
	{"AssemblyScript's library, in its metric modules", "wasm-metrics/node_modules/assemblyscript/LICENSE"},
}

// licences are the texts for one system's archive: Go's, every linked module's, and those of what is bundled.
// A module without one is an error, since the archive could not be handed on.
func licences(s system) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "What the program for %s/%s contains besides Triality itself, with its licences.\n", s.os, s.arch)
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	if err := addFile(&out, "the Go runtime and standard library", filepath.Join(strings.TrimSpace(string(root)), "LICENSE")); err != nil {
		return nil, err
	}
	modules, err := linkedModules(s)
	if err != nil {
		return nil, err
	}
	for _, m := range modules {
		entries, err := os.ReadDir(m.dir)
		if err != nil {
			return nil, err
		}
		found := false
		for _, e := range entries {
			if e.IsDir() || !licenceFile.MatchString(e.Name()) {
				continue
			}
			found = true
			if err := addFile(&out, m.name, filepath.Join(m.dir, e.Name())); err != nil {
				return nil, err
			}
		}
		if !found {
			return nil, fmt.Errorf("module %s has no licence file", m.name)
		}
	}
	for _, b := range bundled {
		if err := addFile(&out, b.what, filepath.FromSlash(b.path)); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

func addFile(out *bytes.Buffer, what, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("licence of %s: %w", what, err)
	}
	fmt.Fprintf(out, "\n%s\n%s (%s)\n\n%s\n", strings.Repeat("=", 80), what, filepath.Base(path), bytes.TrimSpace(text))
	return nil
}

type module struct{ name, dir string }

// linkedModules are the modules whose packages the program is linked from, in the order of their names.
func linkedModules(s system) ([]module, error) {
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}{{end}}", ".")
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+s.os, "GOARCH="+s.arch)
	text, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var out []module
	seen := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		name, dir, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && !seen[name] {
			seen[name] = true
			out = append(out, module{name, dir})
		}
	}
	return out, nil
}
