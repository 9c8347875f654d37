package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/allocation"
	"triality/runtime/realdata"
)

// image builds a file from a header and data written by hand.
func image(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func save(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.safetensors")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpenReadsAHandMadeFile(t *testing.T) {
	// 1.5 as F32, then -2 and 0.5 as BF16, then 1 as F16, then -1 as I64.
	path := save(t, image(`{"__metadata__":{"format":"pt"},`+
		`"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},`+
		`"h":{"dtype":"F16","shape":[1,1],"data_offsets":[8,10]},`+
		`"b":{"data_offsets":[4,8],"shape":[2],"dtype":"BF16"},`+
		`"none":{"dtype":"F32","shape":[3,0],"data_offsets":[10,10]},`+
		`"i":{"dtype":"I64","shape":[1],"data_offsets":[10,18]}}  `,
		0, 0, 0xc0, 0x3f, 0x00, 0xc0, 0x00, 0x3f, 0x00, 0x3c,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Names(); !slices.Equal(got, []string{"a", "b", "h", "none", "i"}) {
		t.Errorf("names %v", got)
	}
	if got := f.Metadata(); len(got) != 1 || got["format"] != "pt" {
		t.Errorf("metadata %v", got)
	}
	for name, want := range map[string][]float32{"a": {1.5}, "b": {-2, 0.5}, "h": {1}, "none": {}} {
		got, err := f.Float32(name)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	if b, err := f.Bytes("i"); err != nil || !bytes.Equal(b, bytes.Repeat([]byte{0xff}, 8)) {
		t.Errorf("i: % x, %v", b, err)
	}
	if info, ok := f.Info("h"); !ok || info.DType != F16 || !slices.Equal(info.Shape, []int{1, 1}) || info.Elements() != 1 {
		t.Errorf("info %+v, %v", info, ok)
	}
	if _, err := f.Float32("i"); err == nil || !strings.Contains(err.Error(), "I64") {
		t.Errorf("I64 as float32: error %v", err)
	}
	if _, err := f.Float32("missing"); !errors.Is(err, ErrNoTensor) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing tensor: error %v", err)
	}
	if err := f.ReadFloat32("b", make([]float32, 3)); err == nil {
		t.Error("a destination of the wrong length was accepted")
	}
}

func TestOpenRefuses(t *testing.T) {
	one := func(body string) []byte { return image(`{"x":`+body+`}`, 1, 2, 3, 4) }
	huge := binary.LittleEndian.AppendUint64(nil, 1<<60)
	tests := map[string]struct {
		file []byte
		kind error
		says string
	}{
		"an empty file":                      {nil, ErrTruncated, "short by 8"},
		"a file cut in the length":           {[]byte{1, 2, 3}, ErrTruncated, "short by 5"},
		"a header longer than the file":      {image(`{}`)[:9], ErrTruncated, "short by 1"},
		"a header of 2⁶⁰ bytes":              {huge, ErrFormat, "limit"},
		"no header at all":                   {image(``), ErrFormat, "'{'"},
		"a header that is no object":         {image(`[]`), ErrFormat, "'{'"},
		"a header cut short":                 {image(`{"x":`), ErrFormat, "x"},
		"text after the header":              {image(`{} {}`), ErrFormat, "after"},
		"a header that is not UTF-8":         {image("{\"\xff\":0}"), ErrFormat, "UTF-8"},
		"data cut short":                     {one(`{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`), ErrTruncated, "short by 4"},
		"data left over":                     {one(`{"dtype":"U8","shape":[3],"data_offsets":[0,3]}`), ErrFormat, "1 bytes follow"},
		"a gap before the first tensor":      {one(`{"dtype":"U8","shape":[3],"data_offsets":[1,4]}`), ErrFormat, "begins at 1"},
		"offsets the wrong way round":        {one(`{"dtype":"U8","shape":[4],"data_offsets":[4,0]}`), ErrFormat, "range"},
		"negative offsets":                   {one(`{"dtype":"U8","shape":[4],"data_offsets":[-4,0]}`), ErrFormat, "range"},
		"three offsets":                      {one(`{"dtype":"U8","shape":[4],"data_offsets":[0,4,4]}`), ErrFormat, "3 entries"},
		"no offsets":                         {one(`{"dtype":"U8","shape":[4]}`), ErrFormat, "0 entries"},
		"no shape":                           {one(`{"dtype":"U8","data_offsets":[0,4]}`), ErrFormat, "shape"},
		"a negative dimension":               {one(`{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}`), ErrFormat, "-4"},
		"a shape that overflows 64 bits":     {one(`{"dtype":"U8","shape":[4294967296,4294967296,4294967297],"data_offsets":[0,4]}`), ErrFormat, "too large"},
		"a shape that overflows to the size": {one(`{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}`), ErrFormat, "too large"},
		"a shape of another size":            {one(`{"dtype":"F32","shape":[2],"data_offsets":[0,4]}`), ErrFormat, "takes 8 bytes"},
		"an unknown dtype":                   {one(`{"dtype":"F7","shape":[4],"data_offsets":[0,4]}`), ErrFormat, "F7"},
		"metadata that is not text":          {image(`{"__metadata__":{"a":1}}`), ErrFormat, "__metadata__"},
		"metadata given twice":               {image(`{"__metadata__":{},"__metadata__":{}}`), ErrFormat, "twice"},
		"overlapping tensors": {image(`{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"y":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}`,
			1, 2, 3, 4), ErrFormat, "ends at 3"},
		"a name given twice": {image(`{"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`), ErrFormat, "twice"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := save(t, tt.file)
			f, err := Open(path)
			if err == nil {
				f.Close()
				t.Fatal("want an error")
			}
			if !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q, want one that is %q, says %q and names %s", err, tt.kind, tt.says, path)
			}
		})
	}
}

func TestOpenOfAFolderOrAMissingFileFails(t *testing.T) {
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestAFileCutWhileOpenIsAnError(t *testing.T) {
	path := save(t, image(`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 1, 2, 3, 4))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 20); err != nil {
		t.Skipf("cannot cut an open file here: %v", err)
	}
	if _, err := f.Float32("x"); err == nil {
		t.Error("Float32 read bytes that are gone")
	}
	if _, err := f.Bytes("x"); err == nil {
		t.Error("Bytes read bytes that are gone")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(image(`{}`))
	f.Add(image(`{"__metadata__":{"a":"b"},"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}`, 1, 2, 3, 4))
	f.Add(image(`{"x":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}`, 1, 2, 3, 4))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, '{', '}'})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		var h *header
		var err error
		if got := allocation.Bytes(func() { h, err = readHeader(bytes.NewReader(b), int64(len(b))) }); got > allocation.Bound(len(b)) {
			t.Fatalf("%d bytes made %d bytes of memory", len(b), got)
		}
		if err != nil {
			return
		}
		path := filepath.Join(dir, "f")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			t.Fatalf("readHeader accepted what Open refuses: %v", err)
		}
		defer file.Close()
		var tensors []Tensor
		var total int
		for _, n := range file.Names() {
			raw, err := file.Bytes(n)
			if err != nil {
				t.Fatal(err)
			}
			total += len(raw)
			info, _ := file.Info(n)
			if v, err := file.Float32(n); err == nil && len(v)*info.DType.Size() != len(raw) {
				t.Fatalf("%q: %d values from %d bytes", n, len(v), len(raw))
			}
			if n == "" {
				return // readable, but nothing Write makes
			}
			tensors = append(tensors, Tensor{Name: n, DType: info.DType, Shape: info.Shape, Raw: raw})
		}
		if int64(total) != int64(len(b))-h.dataAt {
			t.Fatalf("tensors hold %d bytes of %d", total, int64(len(b))-h.dataAt)
		}
		if err := Write(path+"2", tensors, file.Metadata()); err != nil {
			t.Fatal(err)
		}
		again, err := Open(path + "2")
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		for _, x := range tensors {
			if raw, err := again.Bytes(x.Name); err != nil || !bytes.Equal(raw, x.Raw) {
				t.Fatalf("%q: % x, %v", x.Name, raw, err)
			}
		}
	})
}

func TestReadTheRealModel(t *testing.T) {
	m, err := OpenModel(realdata.Path(t, "models/stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	info, ok := m.Info("model.embed_tokens.weight")
	if !ok || info.DType != F32 || !slices.Equal(info.Shape, []int{512, 64}) {
		t.Fatalf("embedding: %+v %v", info, ok)
	}
	total := 0
	for _, n := range m.Names() {
		v, err := m.Float32(n)
		if err != nil {
			t.Fatal(err)
		}
		total += len(v)
		for i, x := range v {
			if math.IsNaN(float64(x)) || math.Abs(float64(x)) > 100 {
				t.Fatalf("%s[%d] = %g is no weight", n, i, x)
			}
		}
	}
	if total < 250_000 || total > 270_000 {
		t.Errorf("%d parameters, want about 260 K", total)
	}
}
