package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"triality/experiments/kinds"
)

// The layers, server → experiments → runtime, as what each may not reach. An entry stands for the
// package itself and all below it.
var forbidden = []struct {
	layer string
	never []string
}{
	{"triality/runtime", []string{
		"triality/experiments", "triality/server", "triality/frontend", "triality/wasm-metrics",
		"github.com/labstack/echo", "go.etcd.io/bbolt", "github.com/go-echarts/go-echarts",
	}},
	{"triality/experiments", []string{
		"triality/server", "triality/frontend", "triality/wasm-metrics",
		"github.com/labstack/echo", "go.etcd.io/bbolt", "github.com/go-echarts/go-echarts",
	}},
	{"triality/frontend", []string{"triality/runtime", "triality/experiments", "triality/server"}},
}

// mayUseHTTP are the packages of runtime that may speak HTTP, as clients only. net/http holds client and server
// both, so who may import it is listed. hubtest is the server of the hub's tests.
var mayUseHTTP = []string{"triality/runtime/hub", "triality/runtime/hub/hubtest"}

var (
	topFolders  = []string{"runtime", "experiments", "server", "frontend", "wasm-metrics"}
	vagueNames  = []string{"util", "common", "helper", "base", "manager"}
	notOurs     = []string{"node_modules", "dist", "testdata"}                   // anywhere
	notOursRoot = []string{"bin", "work", "data", "shared"}                      // at the root; .gitignore has them
	sourceTypes = []string{".go", ".s", ".ts", ".js", ".mjs", ".svelte", ".css"} // whose names say what they hold
)

const (
	maxLines  = 500
	rootFiles = "triality" // import path of the package at the root
)

// listedPackage is what `go list -deps -json` says of one package.
type listedPackage struct {
	ImportPath, Name string
	Standard         bool
	Module           *struct{ Main bool }
	Deps             []string
	Imports          []string
	TestImports      []string
	XTestImports     []string
}

// packages lists the project's packages on one system, each with all it depends on there, and its tests
// with what they import.
func packages(t *testing.T, goos string) []listedPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-deps",
		"-json=ImportPath,Name,Standard,Module,Deps,Imports,TestImports,XTestImports", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var ours []listedPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listedPackage
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if p.Module != nil && p.Module.Main {
			ours = append(ours, p)
		}
	}
	if len(ours) < len(topFolders) {
		t.Fatalf("go list found only %d packages of the project", len(ours))
	}
	return ours
}

// within says whether path is root or below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

func TestImportsGoOneWay(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		t.Run(goos, func(t *testing.T) {
			list := packages(t, goos)
			deps := map[string][]string{}
			for _, p := range list {
				deps[p.ImportPath] = p.Deps
			}
			for _, p := range list {
				reached := slices.Clone(p.Deps)
				for _, test := range slices.Concat(p.TestImports, p.XTestImports) {
					reached = append(append(reached, test), deps[test]...)
				}
				slices.Sort(reached)
				for _, path := range slices.Compact(reached) {
					for _, rule := range forbidden {
						if within(p.ImportPath, rule.layer) && slices.ContainsFunc(rule.never, func(n string) bool { return within(path, n) }) {
							t.Errorf("%s depends on %s", p.ImportPath, path)
						}
					}
				}
			}
		})
	}
}

func TestRuntimeKnowsNoHTTP(t *testing.T) {
	for _, p := range packages(t, runtime.GOOS) {
		if !within(p.ImportPath, "triality/runtime") || slices.Contains(mayUseHTTP, p.ImportPath) {
			continue
		}
		for _, path := range p.Imports {
			if within(path, "net/http") {
				t.Errorf("%s imports %s; packages that may are listed in mayUseHTTP", p.ImportPath, path)
			}
		}
	}
}

// notThroughDisk are the files that may change files by package os, each with why. Elsewhere runtime/disk does it,
// whose operations tests record, fail and replay after a power cut.
var notThroughDisk = map[string]string{
	"runtime/filelock/filelock.go":         "a lock is no data",
	"runtime/sandbox/cache.go":             "a compilation cache can be lost",
	"runtime/sandbox/limit_linux.go":       "the kernel's own files",
	"server/cli/sandbox.go":                "the same cache",
	"server/worker/memory_linux.go":        "the kernel's own files",
	"server/store/open.go":                 "bbolt takes its file from there",
	"runtime/finetunebench/bench.go":       "a benchmark's own files",
	"runtime/enginebench/torch.go":         "a benchmark's own files",
	"runtime/enginebench/training.go":      "a benchmark's own files",
	"runtime/tokenizer/tokenbench/peer.go": "a benchmark's own files",
	"runtime/metrictemplate/copysdk.go":    "go generate runs it in the checkout",
	"runtime/realdata/extract.go":          "go generate runs it in the checkout",
}

func TestFilesAreChangedThroughDisk(t *testing.T) {
	changing := []string{"Chmod", "Create", "CreateTemp", "Link", "Mkdir", "MkdirAll", "MkdirTemp", "OpenFile", "Remove", "RemoveAll", "Rename", "Symlink", "Truncate", "WriteFile"}
	used := map[string]bool{}
	for _, layer := range []string{"runtime", "experiments", "server"} {
		eachFile(t, layer, func(path string) {
			path = filepath.ToSlash(path)
			if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || within(path, "runtime/disk") {
				return
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			if err != nil {
				t.Error(err)
				return
			}
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok || !slices.Contains(changing, s.Sel.Name) {
					return true
				}
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "os" && x.Obj == nil {
					used[path] = true
					if notThroughDisk[path] == "" {
						t.Errorf("%s calls os.%s: package disk does it, so that tests can replay it", path, s.Sel.Name)
					}
				}
				return true
			})
		})
	}
	for path := range notThroughDisk {
		if !used[path] {
			t.Errorf("notThroughDisk lists %s, which has no need of it", path)
		}
	}
}

// The executor of graphs knows no kind of step, and no kind another: adding one touches its folder and the list of kinds.
func TestKindsOfStepsStandAlone(t *testing.T) {
	const executor, kinds = rootFiles + "/experiments/graph", rootFiles + "/experiments/kinds"
	listed := map[string]bool{}
	found := 0
	for _, p := range packages(t, runtime.GOOS) {
		isKind := p.ImportPath != kinds && within(p.ImportPath, kinds)
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			switch {
			case p.ImportPath == kinds:
				listed[path] = true
			case within(p.ImportPath, executor) && within(path, kinds), isKind && within(path, kinds) && !within(path, p.ImportPath):
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
		for _, path := range p.Deps {
			if (within(p.ImportPath, executor) || isKind) && within(path, kinds) && !within(path, p.ImportPath) {
				t.Errorf("%s depends on %s", p.ImportPath, path)
			}
		}
		if isKind {
			found++
		}
	}
	for _, p := range packages(t, runtime.GOOS) {
		if p.ImportPath != kinds && within(p.ImportPath, kinds) && !listed[p.ImportPath] {
			t.Errorf("%s is not in the list of kinds", p.ImportPath)
		}
	}
	if found == 0 {
		t.Errorf("there are no kinds below %s", kinds)
	}
}

// Nor does it name one: its files hold no text that is a kind's name.
func TestTheExecutorNamesNoKind(t *testing.T) {
	var names []string
	for _, k := range kinds.All(nil) {
		names = append(names, k.Name)
	}
	eachFile(t, filepath.Join("experiments", "graph"), func(path string) {
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Error(err)
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "experiments" && strings.HasPrefix(n.Sel.Name, "Step") {
					t.Errorf("%s uses experiments.%s", path, n.Sel.Name)
				}
			case *ast.BasicLit:
				// What a step gives may be called as a kind is.
				if text, err := strconv.Unquote(n.Value); err == nil && text != "report" && text != "table" && slices.Contains(names, text) {
					t.Errorf("%s names the kind %q", path, text)
				}
			}
			return true
		})
	})
}

func TestPackagesLieInTheirFolders(t *testing.T) {
	for _, p := range packages(t, runtime.GOOS) {
		top, _, _ := strings.Cut(strings.TrimPrefix(p.ImportPath, rootFiles+"/"), "/")
		if p.ImportPath != rootFiles && !slices.Contains(topFolders, top) {
			t.Errorf("%s is under none of %v", p.ImportPath, topFolders)
		}
	}
}

// Metric modules and their SDK are given to people who have nothing else of the project.
func TestMetricModulesStandAlone(t *testing.T) {
	modules := 0
	eachFile(t, "wasm-metrics", func(path string) {
		if filepath.Base(path) == "go.mod" {
			modules++
		}
		if filepath.Ext(path) != ".go" || filepath.Dir(path) == "wasm-metrics" { // tests of the built modules
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Error(err)
			}
			if within(imported, "triality") {
				t.Errorf("%s imports %s", path, imported)
			}
		}
	})
	if modules == 0 {
		t.Error("wasm-metrics holds no go.mod: its Go modules must be separate from the project's")
	}
}

func TestNamesSayWhatThingsProvide(t *testing.T) {
	eachFile(t, ".", func(path string) {
		if !slices.Contains(sourceTypes, filepath.Ext(path)) {
			return
		}
		for _, name := range strings.Split(filepath.ToSlash(path), "/") {
			if isVague(name) {
				t.Errorf("%s: %q says nothing; name it for what it provides", path, name)
			}
		}
	})
	for _, p := range packages(t, runtime.GOOS) {
		if isVague(p.Name) {
			t.Errorf("%s: package %q says nothing; name it for what it provides", p.ImportPath, p.Name)
		}
	}
}

// isVague says whether a file's or folder's name, less what follows its first dot and Go's _test, is one
// of vagueNames or ends in one: helpers.go, http_util.go, testhelper_test.go.
func isVague(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "_test"), "s")
	return slices.ContainsFunc(vagueNames, func(v string) bool {
		return name == v || strings.HasSuffix(name, "_"+v) || strings.HasSuffix(name, "-"+v)
	})
}

func TestIsVague(t *testing.T) {
	for name, want := range map[string]bool{
		"util": true, "utils.go": true, "helpers_test.go": true, "http_util.go": true, "base": true, "Manager.svelte": true,
		"base_model.go": false, "database.go": false, "commonmark.ts": false, "store.go": false,
	} {
		if got := isVague(name); got != want {
			t.Errorf("isVague(%q) is %v", name, got)
		}
	}
}

func TestGoFilesStayShort(t *testing.T) {
	eachFile(t, ".", func(path string) {
		if filepath.Ext(path) != ".go" {
			return
		}
		n, err := lines(path)
		if err != nil {
			t.Error(err)
		}
		if n > maxLines {
			t.Errorf("%s has %d lines; split it before %d", path, n, maxLines)
		}
	})
}

func lines(path string) (int, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := 0
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		n++
	}
	if err := in.Err(); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// eachFile calls visit with every file of the project below root, skipping what is built or downloaded.
func eachFile(t *testing.T, root string, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != root: // a build beside us replaced it
			return nil
		case err != nil:
			return err
		case !d.IsDir():
			visit(path)
		case path == root:
		case strings.HasPrefix(d.Name(), "."), slices.Contains(notOurs, d.Name()), slices.Contains(notOursRoot, path):
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
