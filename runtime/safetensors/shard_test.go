package safetensors

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func counted(name string, d DType, shape ...int) Tensor {
	return Tensor{Name: name, DType: d, Shape: shape, Read: func(dst []float32, at int) error {
		for i := range dst {
			dst[i] = float32(at+i) / 4
		}
		return nil
	}}
}

func TestWriteModelMakesOneFileOrShards(t *testing.T) {
	list := []Tensor{counted("a", F32, 10), counted("b", F16, 3, 4), counted("c", BF16, 2, 2), counted("big", F32, 100), counted("e", F32, 1)}
	for limit, want := range map[int64][]string{
		MaxShard: {"model.safetensors"},
		476:      {"model.safetensors"}, // all there is
		72: {"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
			"model.safetensors.index.json"},
	} {
		dir := t.TempDir()
		if err := WriteModel(dir, list, map[string]string{"format": "pt"}, limit); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var files []string
		for _, e := range entries {
			files = append(files, e.Name())
		}
		if !slices.Equal(files, want) {
			t.Errorf("shards of %d bytes: %v, want %v", limit, files, want)
		}
		m, err := OpenModel(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Names()) != len(list) || m.Metadata()["format"] != "pt" {
			t.Errorf("%v, %v", m.Names(), m.Metadata())
		}
		for _, x := range list {
			v, err := m.Float32(x.Name)
			if err != nil {
				t.Fatal(err)
			}
			for i := range v {
				if v[i] != float32(i)/4 {
					t.Errorf("%s[%d] is %g", x.Name, i, v[i])
				}
			}
		}
		m.Close()
	}
}

func TestTheIndexSaysTheTotalSize(t *testing.T) {
	dir := t.TempDir()
	if err := WriteModel(dir, []Tensor{counted("a", F32, 10), counted("b", F16, 3)}, nil, 40); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Metadata struct {
			TotalSize int `json:"total_size"`
		}
	}
	if err := json.Unmarshal(raw, &index); err != nil || index.Metadata.TotalSize != 46 {
		t.Errorf("total_size %d, %v", index.Metadata.TotalSize, err)
	}
}

func TestWriteModelRefuses(t *testing.T) {
	broken := errors.New("broken disk")
	failing := Tensor{Name: "x", Shape: []int{1}, Read: func([]float32, int) error { return broken }}
	for want, c := range map[string]struct {
		list  []Tensor
		limit int64
	}{
		"shards of 0 bytes":          {[]Tensor{counted("a", F32, 1)}, 0},
		`tensor "a" is given twice`:  {[]Tensor{counted("a", F32, 1), counted("a", F32, 1)}, 4},
		`tensor "a": shape [-1] is`:  {[]Tensor{counted("a", F32, -1)}, 4},
		`tensor "x": broken disk`:    {[]Tensor{failing}, 4},
		`cannot be stored as I8`:     {[]Tensor{counted("a", I8, 1)}, 4},
		"2 of Float32, Read and Raw": {[]Tensor{{Name: "a", Shape: []int{1}, Raw: make([]byte, 4), Read: failing.Read}}, 4},
	} {
		if err := WriteModel(t.TempDir(), c.list, nil, c.limit); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := WriteModel(filepath.Join(t.TempDir(), "none"), []Tensor{counted("a", F32, 1)}, nil, 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestAPartOfATensorIsReadInPieces(t *testing.T) {
	const n = 1<<18 + 7 // more than one piece
	dir := t.TempDir()
	if err := WriteModel(dir, []Tensor{counted("a", F32, n), counted("b", BF16, 8)}, nil, MaxShard); err != nil {
		t.Fatal(err)
	}
	m, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	dst := make([]float32, 9)
	if err := m.ReadFloat32At("a", dst, n-9); err != nil || dst[0] != float32(n-9)/4 || dst[8] != float32(n-1)/4 {
		t.Errorf("%v, %v", dst, err)
	}
	if err := m.ReadFloat32At("b", dst[:2], 3); err != nil || dst[0] != 0.75 || dst[1] != 1 {
		t.Errorf("%v, %v", dst, err)
	}
	for _, c := range []struct{ n, at int }{{9, n - 8}, {1, -1}, {1, n}, {0, n + 1}} {
		if err := m.ReadFloat32At("a", dst[:c.n], c.at); err == nil || !strings.Contains(err.Error(), `tensor "a" has 262151 elements`) {
			t.Errorf("%d from %d on: %v", c.n, c.at, err)
		}
	}
	if err := m.ReadFloat32At("none", dst, 0); !errors.Is(err, ErrNoTensor) {
		t.Errorf("an unknown tensor: %v", err)
	}
}
