package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/runtime/disk"
	"triality/runtime/modelfiles"
)

// EngineVersion is part of every step's key: it changes when the same inputs would give other results.
const EngineVersion = graph.EngineVersion

// keyOf hashes a step's kind, the engine version and whatever decides its result.
func keyOf(kind experiments.StepKind, parts ...any) (string, error) {
	return graph.Key(string(kind), parts...)
}

// hashFiles is the SHA-256 over the names' base and content of files, in order.
func hashFiles(names ...string) (string, error) {
	h := sha256.New()
	for _, name := range names {
		f, err := disk.OpenRegular(name)
		if err != nil {
			return "", fmt.Errorf("hash: %w", err)
		}
		info, err := f.Stat()
		if err == nil {
			fmt.Fprintf(h, "%s %d\n", filepath.Base(name), info.Size())
			_, err = io.Copy(h, f)
		}
		f.Close()
		if err != nil {
			return "", fmt.Errorf("hash %s: %w", name, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// hashModel hashes what makes a model folder: configuration, weights, and the files that belong to it.
func hashModel(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", experiments.Errorf(experiments.CodeNotFound, "%s: no such model folder", dir)
	}
	if err != nil {
		return "", experiments.Errorf(experiments.CodeInvalid, "read model folder: %w", err)
	}
	names, err := modelfiles.List(dir)
	if err != nil {
		return "", experiments.Errorf(experiments.CodeInvalid, "read model folder: %w", err)
	}
	for _, e := range entries {
		switch filepath.Ext(e.Name()) {
		case ".json", ".safetensors":
			if !slices.Contains([]string{graph.MarkerName, graph.MetricsName, "replacement.json"}, e.Name()) { // these hold times
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for i, name := range names {
		names[i] = filepath.Join(dir, filepath.FromSlash(name))
	}
	return hashFiles(names...)
}
