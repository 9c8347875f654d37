package hfdataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// shardBytes is the most data a file holds, the reference's default.
const shardBytes = 500_000_000

// Write makes the dataset folder dir, whole or not at all (atomicfile.WriteFolder). A dataset already at
// dir is replaced; a folder that is not a dataset is left alone and an error. The same splits always give
// the same bytes.
func Write(dir string, splits []Split) error {
	if err := check(splits); err != nil {
		return fmt.Errorf("write dataset %s: %w", dir, err)
	}
	return WriteBatches(dir, cutAll(splits))
}

func cutAll(splits []Split) []Batches {
	out := make([]Batches, len(splits))
	for i := range splits {
		out[i] = splits[i].batches()
	}
	return out
}

func write(dir string, splits []Batches, shardBytes int64) error {
	if err := checkNames(splits); err != nil {
		return err
	}
	if err := replaceable(dir); err != nil {
		return err
	}
	return atomicfile.WriteFolder(dir, func(tmp string) error { return fill(tmp, splits, shardBytes) })
}

// replaceable reports what at dir is not a dataset or an empty folder.
func replaceable(dir string) error {
	entries, err := disk.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == dictName {
			return nil
		}
	}
	if len(entries) > 0 {
		return fmt.Errorf("the folder exists and is not a dataset (it has no %s); choose another or empty it", dictName)
	}
	return nil
}

func fill(dir string, splits []Batches, shardBytes int64) error {
	var d dict
	for i := range splits {
		s := &splits[i]
		d.Splits = append(d.Splits, s.Name)
		if err := fillSplit(filepath.Join(dir, s.Name), s, shardBytes); err != nil {
			return fmt.Errorf("split %q: %w", s.Name, err)
		}
	}
	return writeJSON(filepath.Join(dir, dictName), d, "")
}

func fillSplit(dir string, s *Batches, shardBytes int64) error {
	if err := disk.Mkdir(dir, 0o755); err != nil {
		return err
	}
	feats, err := features(s.Columns)
	if err != nil {
		return err
	}
	r := &rest{Batches: s, prints: newPrints(len(s.Columns))}
	var shards []string // under names of their own until it is known how many there are
	for len(shards) == 0 || len(r.batch) > 0 {
		shards = append(shards, filepath.Join(dir, fmt.Sprintf("data-%05d.arrow", len(shards))))
		if err := writeStream(shards[len(shards)-1], r, shardBytes, feats); err != nil {
			return err
		}
	}
	st := state{FormatKwargs: map[string]any{}, Split: &s.Name, Fingerprint: r.prints.sum(s.Name, s.Columns, r.rows)}
	for i, path := range shards {
		name := fmt.Sprintf("data-%05d-of-%05d.arrow", i, len(shards))
		if err := disk.Rename(path, filepath.Join(dir, name)); err != nil {
			return err
		}
		st.DataFiles = append(st.DataFiles, dataFile{name})
	}
	if err := writeJSON(filepath.Join(dir, stateName), st, "  "); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, infoName), info{Features: feats}, "  ") // syncs the folder
}

func writeJSON(path string, v any, indent string) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
		return err
	})
}
