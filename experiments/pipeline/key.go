package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"triality/experiments"
	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/runtime/disk"
	"triality/runtime/modelfiles"
)

// EngineVersion is part of every step's key: it changes when the same inputs would give other results.
const EngineVersion = graph.EngineVersion

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
	names, err := ModelFiles(dir)
	if err != nil {
		return "", err
	}
	for i, name := range names {
		names[i] = filepath.Join(dir, filepath.FromSlash(name))
	}
	return hashFiles(names...)
}

// ModelFiles lists what a step that takes a model folder reads of it, relative to it, with slashes: its key is made of
// them.
func ModelFiles(dir string) ([]string, error) {
	entries, err := disk.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, experiments.Errorf(experiments.CodeNotFound, "%s: no such model folder", dir)
	}
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "read model folder: %w", err)
	}
	names, err := modelfiles.List(dir)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "read model folder: %w", err)
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
	return slices.Compact(names), nil
}

// TestFiles lists the files of a test set: those that make a dataset folder, or the .jsonl files. The folder's name may
// hold what would be a pattern's.
func TestFiles(name string) ([]string, error) {
	if !isDataset(name) {
		return dataset.Find(name)
	}
	files := []string{filepath.Join(name, "dataset_dict.json")}
	splits, err := disk.ReadDir(name)
	if err != nil {
		return nil, fmt.Errorf("data set %s: %w", name, err)
	}
	for _, split := range splits {
		entries, err := disk.ReadDir(filepath.Join(name, split.Name()))
		if err != nil {
			continue // a file, or a folder that no reader of the data set could read either
		}
		for _, e := range entries {
			if part := e.Name(); part == "dataset_info.json" || part == "state.json" || filepath.Ext(part) == ".arrow" {
				files = append(files, filepath.Join(name, split.Name(), part))
			}
		}
	}
	return files, nil
}

// CheckpointFolders are where a step whose folder is dir keeps what it resumes from, while it has not finished.
func CheckpointFolders(dir string) []string {
	return []string{filepath.Join(dir, "checkpoints"), filepath.Join(baseWork(dir), "checkpoints")}
}
