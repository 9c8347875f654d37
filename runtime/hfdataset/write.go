package hfdataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
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
	if err := write(dir, splits, shardBytes); err != nil {
		return fmt.Errorf("write dataset %s: %w", dir, err)
	}
	return nil
}

func write(dir string, splits []Split, shardBytes int64) error {
	if err := check(splits); err != nil {
		return err
	}
	if err := replaceable(dir); err != nil {
		return err
	}
	return atomicfile.WriteFolder(dir, func(tmp string) error { return fill(tmp, splits, shardBytes) })
}

// replaceable reports what at dir is not a dataset or an empty folder.
func replaceable(dir string) error {
	entries, err := os.ReadDir(dir)
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

func fill(dir string, splits []Split, shardBytes int64) error {
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

func fillSplit(dir string, s *Split, shardBytes int64) error {
	if err := disk.Mkdir(dir, 0o755); err != nil {
		return err
	}
	feats, err := features(s.Columns)
	if err != nil {
		return err
	}
	st := state{Fingerprint: fingerprint(s), FormatKwargs: map[string]any{}, Split: &s.Name}
	shards := int(dataBytes(s)/shardBytes) + 1
	shards = max(1, min(shards, s.Rows()))
	at := 0
	for i := range shards {
		name := fmt.Sprintf("data-%05d-of-%05d.arrow", i, shards)
		st.DataFiles = append(st.DataFiles, dataFile{name})
		end := at + s.Rows()/shards
		if i < s.Rows()%shards {
			end++
		}
		if err := writeStream(filepath.Join(dir, name), s, at, end, feats); err != nil {
			return err
		}
		at = end
	}
	if err := writeJSON(filepath.Join(dir, stateName), st, "  "); err != nil {
		return err
	}
	return writeJSON(filepath.Join(dir, infoName), info{Features: feats}, "  ")
}

// dataBytes is the size of the split's values in Arrow's layout.
func dataBytes(s *Split) int64 {
	var n int64
	for _, c := range s.Columns {
		for _, v := range c.Strings {
			n += 4 + int64(len(v))
		}
		n += 8 * int64(len(c.Ints))
		for _, v := range c.Lists {
			n += 4 + 4*int64(len(v))
		}
	}
	return n
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
