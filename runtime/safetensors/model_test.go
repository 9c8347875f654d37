package safetensors

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/allocation"
)

func shard(t testing.TB, dir, file string, names ...string) {
	t.Helper()
	var ts []Tensor
	for i, n := range names {
		ts = append(ts, Tensor{Name: n, Float32: []float32{float32(len(file)*100 + i)}})
	}
	if err := Write(filepath.Join(dir, file), ts, map[string]string{"from": file}); err != nil {
		t.Fatal(err)
	}
}

func index(t testing.TB, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, indexName), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOpenModelReadsShardsAsOne(t *testing.T) {
	dir := t.TempDir()
	shard(t, dir, "s1", "x", "y", "unlisted")
	shard(t, dir, "s22", "z")
	index(t, dir, `{"metadata":{"total_size":12},"weight_map":{"z":"s22","x":"s1","y":"s1"}}`)
	m, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := m.Names(); !slices.Equal(got, []string{"x", "y", "z"}) {
		t.Errorf("names %v", got)
	}
	if v, err := m.Float32("z"); err != nil || v[0] != 300 {
		t.Errorf("z = %v, %v", v, err)
	}
	if b, err := m.Bytes("y"); err != nil || len(b) != 4 {
		t.Errorf("y = % x, %v", b, err)
	}
	dst := make([]float32, 1)
	if err := m.ReadFloat32("x", dst); err != nil || dst[0] != 200 {
		t.Errorf("x = %v, %v", dst, err)
	}
	if m.Metadata()["from"] != "s1" {
		t.Errorf("metadata %v", m.Metadata())
	}
	if _, ok := m.Info("unlisted"); ok {
		t.Error("a tensor the index does not list is there")
	}
	for _, err := range []error{
		func() error { _, err := m.Float32("no"); return err }(),
		func() error { _, err := m.Bytes("no"); return err }(),
		m.ReadFloat32("no", dst),
	} {
		if !errors.Is(err, ErrNoTensor) || !strings.Contains(err.Error(), dir) {
			t.Errorf("missing tensor: error %v", err)
		}
	}
}

func TestOpenModelPrefersTheSingleFile(t *testing.T) {
	dir := t.TempDir()
	shard(t, dir, singleName, "w")
	index(t, dir, `not json`)
	m, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := m.Names(); !slices.Equal(got, []string{"w"}) {
		t.Errorf("names %v", got)
	}
}

func TestOpenModelRefuses(t *testing.T) {
	tests := map[string]struct {
		index string
		says  string
		is    error
	}{
		"a folder without weights":           {"", "neither", fs.ErrNotExist},
		"an index that is no JSON":           {"{", indexName, nil},
		"an index without weight_map":        {"{}", "weight_map", nil},
		"a shard outside the folder":         {`{"weight_map":{"x":"../s1"}}`, "not a file name", nil},
		"a shard that is a folder":           {`{"weight_map":{"x":"a/s1"}}`, "not a file name", nil},
		"a shard that is missing":            {`{"weight_map":{"x":"s1","y":"s9"}}`, "s9", fs.ErrNotExist},
		"a tensor that its shard has not":    {`{"weight_map":{"x":"s1","q":"s1"}}`, `"q"`, ErrNoTensor},
		"a tensor that is in another shard":  {`{"weight_map":{"x":"s1","y":"s22"}}`, `"y"`, ErrNoTensor},
		"a shard that is not a safetensors ": {`{"weight_map":{"x":"model.safetensors.index.json"}}`, "limit", ErrFormat},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			shard(t, dir, "s1", "x", "y")
			shard(t, dir, "s22", "z")
			if tt.index != "" {
				index(t, dir, tt.index)
			}
			m, err := OpenModel(dir)
			if err == nil {
				m.Close()
				t.Fatal("want an error")
			}
			if !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), dir) || tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v, want one that says %q, names the folder and is %v", err, tt.says, tt.is)
			}
		})
	}
}

func FuzzOpenModel(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":12},"weight_map":{"z":"s22","x":"s1","y":"s1"}}`))
	f.Add([]byte(`{"weight_map":{"z":"../s22"}}`))
	f.Add([]byte(`{"weight_map":{"z":null}}`))
	dir := f.TempDir()
	shard(f, dir, "s1", "x", "y", "unlisted")
	shard(f, dir, "s22", "z")
	f.Fuzz(func(t *testing.T, raw []byte) {
		index(t, dir, string(raw))
		var m *Model
		var err error
		if got := allocation.Bytes(func() { m, err = OpenModel(dir) }); got > allocation.Bound(len(raw)) {
			t.Fatalf("%d bytes made %d bytes of memory", len(raw), got)
		}
		if err != nil {
			return
		}
		defer m.Close()
		for _, name := range m.Names() {
			if v, err := m.Float32(name); err != nil || len(v) != 1 {
				t.Fatalf("%q: %v, %v", name, v, err)
			}
		}
	})
}
