package pipeline

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/disk"
	"triality/runtime/hub"
)

// CheckPaths refuses a configuration that names files outside a folder. dir is where its relative paths begin. Each error
// names the key, the path and the folder. Models of the Hub and metric modules by their SHA-256 are no paths.
func CheckPaths(cfg config.Pipeline, dir, root string) error {
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
		lies, err := disk.Real(beforePattern(full))
		switch {
		case err != nil:
			faults = append(faults, fmt.Sprintf("%s: %s: %v", key, path, err))
		case !disk.Below(lies, real):
			faults = append(faults, fmt.Sprintf("%s: %s lies outside %s, to which this server keeps", key, path, root))
		}
	}
	for _, p := range config.Paths(&cfg) {
		switch {
		case p.Path == "":
		case p.Kind == config.ModelPath && ofHub(p.Path, dir):
		case p.Kind == config.ModulePath && isSum(p.Path):
		default:
			check(p.Key, p.Path)
		}
	}
	if len(faults) > 0 {
		return experiments.Errorf(experiments.CodeInvalid, "%s", strings.Join(faults, "\n"))
	}
	return nil
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

func isSum(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == 32
}
