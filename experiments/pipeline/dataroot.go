package pipeline

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/runtime/disk"
	"triality/runtime/hub"
)

// CheckPaths refuses a configuration that names files outside a folder. dir is where its relative paths begin. Each error
// names the key, and the step of a graph, the path and the folder. Models of the Hub and metric modules by their SHA-256
// are no paths.
func CheckPaths(s Spec, dir, root string) error {
	real, err := disk.Real(root)
	if err != nil {
		return fmt.Errorf("data root: %w", err)
	}
	var faults []string
	check := func(key, path string) {
		full := path
		if !filepath.IsAbs(full) {
			full = filepath.Join(dir, full)
		}
		// What cannot be followed is refused in the same words: others would say what lies outside.
		if lies, err := disk.Real(beforePattern(full)); err != nil || !disk.Below(lies, real) {
			faults = append(faults, fmt.Sprintf("%s: %s lies outside %s, to which this server keeps", key, path, root))
		}
	}
	for _, p := range s.paths() {
		switch {
		case p.Path == "":
		case p.Kind == config.ModelPath && ofHub(p.Path, dir):
		case p.Kind == config.ModulePath && IsSum(p.Path):
		default:
			check(p.Key, p.Path)
		}
	}
	if len(faults) > 0 {
		return experiments.Errorf(experiments.CodeInvalid, "%s", strings.Join(faults, "\n"))
	}
	return nil
}

// paths are what a spec names: a pipeline's keys, or those of a graph's steps.
func (s Spec) paths() []config.Path {
	if s.Graph == nil {
		return config.Paths(&s.Pipeline)
	}
	list := []config.Path{{Key: "output_dir", Kind: config.OutputPath, Path: s.OutputDir}}
	for _, n := range s.Graph.Named() {
		p := config.Path{Key: n.Step + ": " + n.Key, Kind: n.Path, Path: n.Text()}
		if slices.Contains(n.Takes, graph.Model) {
			p.Kind = config.ModelPath
		}
		list = append(list, p)
	}
	return list
}

// beforePattern is the folder of a glob pattern in front of its first wildcard, and any other path as it is.
func beforePattern(path string) string {
	i := strings.IndexAny(path, `*?[`)
	if i < 0 {
		return path
	}
	return filepath.Dir(path[:i] + "x")
}

// ofHub says that a model's name is one of the Hub: there is no such folder.
func ofHub(name, dir string) bool {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	_, err := hub.ParseRef(name)
	return err == nil && !exists(path)
}

// IsSum says whether a metric's module is named by the SHA-256 of an uploaded one.
func IsSum(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == 32
}
