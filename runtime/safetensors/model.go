package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sort"

	"triality/runtime/disk"
)

const (
	singleName = "model.safetensors"
	indexName  = "model.safetensors.index.json"
)

// ErrNoModel is a folder without weights: neither one file nor an index of shards.
var ErrNoModel = errors.New("no weights")

// MissingShardError is a file of weights that the index names and that is not there. Its message begins
// with the file's name.
type MissingShardError struct {
	Shard, Dir string
	Err        error
}

func (e *MissingShardError) Error() string {
	return fmt.Sprintf("%s is missing from %s, whose %s names it: download or copy it there", e.Shard, e.Dir, indexName)
}

func (e *MissingShardError) Unwrap() error { return e.Err }

// Model is the weights of one model folder, in one file or in shards. It has the
// methods of File.
type Model struct {
	dir   string
	names []string
	where map[string]*File
	files []*File
	meta  map[string]string
}

// OpenModel opens dir/model.safetensors or, where that is absent, the shards that
// dir/model.safetensors.index.json lists. Every tensor the index names must be in
// the shard it names.
func OpenModel(dir string) (*Model, error) {
	single := filepath.Join(dir, singleName)
	switch _, err := disk.Stat(single); {
	case err == nil:
		f, err := Open(single)
		if err != nil {
			return nil, err
		}
		m := &Model{dir: dir, where: map[string]*File{}}
		m.add(f, f.Names())
		return m, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("open model: %w", err)
	}
	m, err := openShards(dir)
	if errors.Is(err, fs.ErrNotExist) && m == nil {
		return nil, fmt.Errorf("open model %s: neither %s nor %s is there: %w (%w)", dir, singleName, indexName, ErrNoModel, fs.ErrNotExist)
	}
	if err != nil {
		if end := m.Close(); end != nil {
			err = errors.Join(err, end)
		}
		return nil, err
	}
	return m, nil
}

// openShards returns a nil model only where the index itself could not be read;
// otherwise the caller closes the model, on errors too.
func openShards(dir string) (*Model, error) {
	path := filepath.Join(dir, indexName)
	raw, err := disk.ReadRegular(path, disk.MaxText)
	if err != nil {
		return nil, err
	}
	m := &Model{dir: dir, where: map[string]*File{}}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &index); err != nil {
		return m, fmt.Errorf("%s: %w", path, err)
	}
	if len(index.WeightMap) == 0 {
		return m, fmt.Errorf("%s: weight_map is missing or empty", path)
	}
	shards := map[string][]string{}
	for name, shard := range index.WeightMap {
		if !filepath.IsLocal(shard) || filepath.Base(shard) != shard {
			return m, fmt.Errorf("%s: tensor %q: shard %q is not a file name", path, name, shard)
		}
		shards[shard] = append(shards[shard], name)
	}
	for _, shard := range slices.Sorted(maps.Keys(shards)) {
		f, err := Open(filepath.Join(dir, shard))
		if errors.Is(err, fs.ErrNotExist) {
			return m, &MissingShardError{shard, dir, err}
		}
		if err != nil {
			return m, fmt.Errorf("%s, which %s names: %w", shard, path, err)
		}
		m.files = append(m.files, f)
		names := shards[shard]
		for _, name := range names {
			if _, ok := f.h.infos[name]; !ok {
				return m, fmt.Errorf("%s: tensor %q: %w in %s", path, name, ErrNoTensor, shard)
			}
		}
		sort.Slice(names, func(i, j int) bool {
			a, b := f.h.infos[names[i]], f.h.infos[names[j]]
			return a.Begin < b.Begin || a.Begin == b.Begin && names[i] < names[j]
		})
		m.files = m.files[:len(m.files)-1]
		m.add(f, names)
	}
	return m, nil
}

func (m *Model) add(f *File, names []string) {
	m.files = append(m.files, f)
	m.names = append(m.names, names...)
	for _, n := range names {
		m.where[n] = f
	}
	if m.meta == nil {
		m.meta = f.Metadata()
	}
}

// Names lists the tensors, shard by shard, in the order of their bytes.
func (m *Model) Names() []string { return slices.Clone(m.names) }

// Info describes a tensor; ok is false where the model has none of that name.
func (m *Model) Info(name string) (Info, bool) {
	f, ok := m.where[name]
	if !ok {
		return Info{}, false
	}
	return f.Info(name)
}

// Metadata returns the metadata of the file or of the first shard.
func (m *Model) Metadata() map[string]string { return maps.Clone(m.meta) }

// Bytes reads a tensor as File.Bytes does.
func (m *Model) Bytes(name string) ([]byte, error) {
	f, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return f.Bytes(name)
}

// Float32 reads a tensor as File.Float32 does.
func (m *Model) Float32(name string) ([]float32, error) {
	f, err := m.find(name)
	if err != nil {
		return nil, err
	}
	return f.Float32(name)
}

// ReadFloat32 reads a tensor as File.ReadFloat32 does.
func (m *Model) ReadFloat32(name string, dst []float32) error {
	f, err := m.find(name)
	if err != nil {
		return err
	}
	return f.ReadFloat32(name, dst)
}

// ReadFloat32At reads a part of a tensor as File.ReadFloat32At does.
func (m *Model) ReadFloat32At(name string, dst []float32, at int) error {
	f, err := m.find(name)
	if err != nil {
		return err
	}
	return f.ReadFloat32At(name, dst, at)
}

// Close closes every file of the model.
func (m *Model) Close() error {
	var err error
	for _, f := range m.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

func (m *Model) find(name string) (*File, error) {
	f, ok := m.where[name]
	if !ok {
		return nil, fmt.Errorf("model %s: %w: %q", m.dir, ErrNoTensor, name)
	}
	return f, nil
}
