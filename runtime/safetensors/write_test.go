package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteThenRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	third := float32(1.0 / 3)
	many := make([]float32, 100_000)
	for i := range many {
		many[i] = float32(i) / 7
	}
	tensors := []Tensor{
		{Name: "half", DType: F16, Shape: []int{2}, Float32: []float32{1, third}},
		{Name: `na"me/日本`, DType: BF16, Shape: []int{1, 2}, Float32: []float32{-1, third}},
		{Name: "many", Shape: []int{1000, 100}, Read: func(dst []float32, at int) error { copy(dst, many[at:]); return nil }},
		{Name: "scalar", Float32: []float32{42}},
		{Name: "empty", Shape: []int{0, 8}},
		{Name: "ids", DType: I64, Shape: []int{1}, Raw: []byte{1, 0, 0, 0, 0, 0, 0, 0}},
		{Name: "bytes", DType: U8, Shape: []int{3}, Raw: []byte{7, 8, 9}},
	}
	meta := map[string]string{"format": "pt", "a<b": "日本\n"}
	if err := Write(path, tensors, meta); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Names(); !slices.Equal(got, []string{"ids", "empty", "many", "scalar", "half", `na"me/日本`, "bytes"}) {
		t.Errorf("names %q", got)
	}
	if got := f.Metadata(); len(got) != 2 || got["a<b"] != "日本\n" {
		t.Errorf("metadata %q", got)
	}
	for name, want := range map[string][]float32{
		"half":     {1, 0.33325195},
		`na"me/日本`: {-1, 0.33398438},
		"many":     many, "scalar": {42}, "empty": {},
	} {
		got, err := f.Float32(name)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %.3v…, %v", name, got[:min(3, len(got))], err)
		}
	}
	for _, n := range f.Names() {
		info, _ := f.Info(n)
		if int(f.h.dataAt+info.Begin)%info.DType.Size() != 0 || f.h.dataAt%8 != 0 {
			t.Errorf("%s at %d+%d is not aligned to %s", n, f.h.dataAt, info.Begin, info.DType)
		}
	}
}

func TestWriteGivesTheSameBytesInAnyOrder(t *testing.T) {
	dir := t.TempDir()
	a := Tensor{Name: "a", Shape: []int{1}, Float32: []float32{1}}
	b := Tensor{Name: "b", DType: BF16, Shape: []int{2}, Float32: []float32{1, 2}}
	c := Tensor{Name: "c", Shape: []int{1}, Float32: []float32{3}}
	meta := map[string]string{"x": "1", "y": "2", "z": "3"}
	var files [][]byte
	for i, order := range [][]Tensor{{a, b, c}, {c, b, a}, {b, a, c}} {
		p := filepath.Join(dir, string(rune('0'+i)))
		if err := Write(p, order, meta); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, raw)
	}
	if !bytes.Equal(files[0], files[1]) || !bytes.Equal(files[0], files[2]) {
		t.Error("the order of the tensors changed the file")
	}
	want := `{"__metadata__":{"x":"1","y":"2","z":"3"},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},` +
		`"c":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}`
	n := binary.LittleEndian.Uint64(files[0])
	if got := strings.TrimRight(string(files[0][8:8+n]), " "); got != want {
		t.Errorf("header\n%s\nwant\n%s", got, want)
	}
	data := files[0][8+n:]
	if len(data) != 12 || math.Float32frombits(binary.LittleEndian.Uint32(data[4:])) != 3 || binary.LittleEndian.Uint16(data[10:]) != 0x4000 {
		t.Errorf("data % x", data)
	}
}

func TestWriteRefuses(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		tensors []Tensor
		meta    map[string]string
		says    string
	}{
		"a name given twice":             {[]Tensor{{Name: "a", Float32: []float32{1}}, {Name: "a", DType: F16, Float32: []float32{1}}}, nil, "twice"},
		"the metadata's name":            {[]Tensor{{Name: "__metadata__", Float32: []float32{1}}}, nil, "name"},
		"an empty name":                  {[]Tensor{{Float32: []float32{1}}}, nil, "name"},
		"a name that is not UTF-8":       {[]Tensor{{Name: "\xff", Float32: []float32{1}}}, nil, "name"},
		"too few values":                 {[]Tensor{{Name: "a", Shape: []int{2}, Float32: []float32{1}}}, nil, "2 elements"},
		"too few bytes":                  {[]Tensor{{Name: "a", DType: I32, Shape: []int{2}, Raw: []byte{1}}}, nil, "8 bytes"},
		"a negative shape":               {[]Tensor{{Name: "a", Shape: []int{-1, -1}, Float32: []float32{1}}}, nil, "negative"},
		"floats as integers":             {[]Tensor{{Name: "a", DType: I32, Float32: []float32{1}}}, nil, "I32"},
		"an unknown type":                {[]Tensor{{Name: "a", DType: "F7", Raw: []byte{1}}}, nil, "F7"},
		"no content":                     {[]Tensor{{Name: "a"}}, nil, "0 of"},
		"two contents":                   {[]Tensor{{Name: "a", Float32: []float32{1}, Raw: []byte{0, 0, 0, 0}}}, nil, "2 of"},
		"values that fail":               {[]Tensor{{Name: "a", Read: func([]float32, int) error { return boom }}}, nil, "boom"},
		"metadata that is not UTF-8":     {nil, map[string]string{"a": "\xff"}, "UTF-8"},
		"a shape that overflows 64 bits": {[]Tensor{{Name: "a", Shape: []int{1 << 62, 4}, Float32: []float32{}}}, nil, "large"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "w.safetensors")
			err := Write(path, tt.tensors, tt.meta)
			if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v, want one that says %q and names the file", err, tt.says)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("left %v behind", left)
			}
		})
	}
}
