package gguf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/runtime/allocation"
)

// values makes a tensor of the type with consecutive values.
func values(name string, t Type, shape ...int) Tensor {
	return Tensor{name, t, shape, func(dst []float32, at int) error {
		for i := range dst {
			dst[i] = float32(at+i) / 16
		}
		return nil
	}}
}

func write(t testing.TB, metadata []Pair, tensors ...Tensor) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := Write(path, metadata, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestAFileReadsBackAsWritten(t *testing.T) {
	long := strings.Repeat("word ", 20000)
	metadata := []Pair{
		{"a.u32", uint32(7)}, {"a.i32", int32(-7)}, {"a.u64", uint64(1 << 40)}, {"a.f32", float32(0.5)},
		{"a.yes", true}, {"a.no", false}, {"a.text", "é"}, {"a.long", long},
		{"a.words", []string{"", "x", "▁the", long}}, {"a.ints", []int32{-1, 5}}, {"a.floats", []float32{-1.5, 3}}, {"a.none", []string{}},
	}
	f := open(t, write(t, metadata, values("half", F16, 3, 5), values("eight", Q8_0, 3, 64), values("full", F32, 2, 3, 2), values("vector", F32, 7)))
	for _, p := range metadata {
		var got any
		var err error
		switch p.Value.(type) {
		case []string:
			got, err = f.Strings(p.Key)
		case []int32:
			got, err = f.Int32s(p.Key)
		case []float32:
			got, err = f.Float32s(p.Key)
		default:
			got, _ = f.Value(p.Key)
		}
		if err != nil || !reflect.DeepEqual(got, p.Value) {
			t.Errorf("%s reads back as %.60v, %v", p.Key, got, err)
		}
	}
	if got := f.Names(); !slices.Equal(got, []string{"half", "eight", "full", "vector"}) {
		t.Errorf("tensors %v", got)
	}
	for name, most := range map[string]float64{"half": 0, "eight": 0.05, "full": 0, "vector": 0} {
		v, err := f.Float32(name)
		if err != nil {
			t.Fatal(err)
		}
		info, _ := f.Info(name)
		if len(v) != info.Elements() || (f.h.dataAt+info.Offset)%alignment != 0 {
			t.Errorf("%s: %d elements at %d", name, len(v), info.Offset)
		}
		for i, x := range v {
			if math.Abs(float64(x)-float64(i)/16) > most {
				t.Fatalf("%s[%d] is %g", name, i, x)
			}
		}
	}
	if info, _ := f.Info("full"); !slices.Equal(info.Shape, []int{2, 3, 2}) {
		t.Errorf("shape %v", info.Shape)
	}
}

func TestAPartOfATensorIsRead(t *testing.T) {
	f := open(t, write(t, nil, values("half", F16, 4, 5), values("eight", Q8_0, 4, 64)))
	dst := make([]float32, 3)
	if err := f.ReadFloat32("half", dst, 16); err != nil || dst[0] != 1 || dst[2] != 18.0/16 {
		t.Errorf("%v, %v", dst, err)
	}
	dst = make([]float32, 32)
	if err := f.ReadFloat32("eight", dst, 96); err != nil || math.Abs(float64(dst[31])-127.0/16) > 0.04 {
		t.Errorf("%v, %v", dst, err)
	}
	for _, c := range []struct {
		name  string
		n, at int
	}{{"half", 3, 18}, {"half", 1, -1}, {"eight", 32, 16}, {"eight", 16, 0}, {"half", 1, math.MaxInt}} {
		if err := f.ReadFloat32(c.name, make([]float32, c.n), c.at); err == nil || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%d of %s from %d on: %v", c.n, c.name, c.at, err)
		}
	}
	if err := f.ReadFloat32("none", dst, 0); !errors.Is(err, ErrNoTensor) {
		t.Errorf("an unknown tensor: %v", err)
	}
}

func TestWriteRefusesWhatTheFormatCannotHold(t *testing.T) {
	broken := errors.New("broken disk")
	for want, c := range map[string]struct {
		metadata []Pair
		tensors  []Tensor
	}{
		`metadata key "a" is empty, too long or given twice`: {metadata: []Pair{{"a", "x"}, {"a", "y"}}},
		`metadata "a": a int is not written`:                 {metadata: []Pair{{"a", 5}}},
		`tensor "x": is given twice`:                         {tensors: []Tensor{values("x", F32, 1), values("x", F32, 1)}},
		`not a name of 1 to 63 bytes`:                        {tensors: []Tensor{values(strings.Repeat("x", 64), F32, 1)}},
		`rows of 33 elements are not in blocks of 32`:        {tensors: []Tensor{values("x", Q8_0, 2, 33)}},
		`shape [] has not 1 to 4 dimensions`:                 {tensors: []Tensor{values("x", F32)}},
		`shape [-1] is negative or too large`:                {tensors: []Tensor{values("x", F32, -1)}},
		`bf16 is not written`:                                {tensors: []Tensor{values("x", BF16, 1)}},
		`has no content`:                                     {tensors: []Tensor{{Name: "x", Type: F32, Shape: []int{1}}}},
		`tensor "x": broken disk`:                            {tensors: []Tensor{{"x", F32, []int{1}, func([]float32, int) error { return broken }}}},
		`tensor "x": from element 1048576: element 2 is NaN`: {tensors: []Tensor{{"x", F32, []int{1<<20 + 8, 1}, func(dst []float32, at int) error {
			if at > 0 {
				dst[2] = float32(math.NaN())
			}
			return nil
		}}}},
	} {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if err := Write(path, c.metadata, c.tensors); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: the file is there", want)
		}
	}
}

// image is a file's bytes: head, counts, then parts as they are.
func image(tensors, pairs uint64, parts ...any) []byte {
	var b bytes.Buffer
	b.WriteString(magic)
	for _, p := range append([]any{uint32(version), tensors, pairs}, parts...) {
		if s, ok := p.(string); ok {
			p = append(binary.LittleEndian.AppendUint64(nil, uint64(len(s))), s...)
		}
		binary.Write(&b, binary.LittleEndian, p)
	}
	return b.Bytes()
}

const huge = uint64(1) << 62

// hostile are files that lie, by what is said of them.
func hostile() map[string][]byte {
	pair := func(parts ...any) []byte { return image(0, 1, append([]any{"k"}, parts...)...) }
	tensor := func(parts ...any) []byte { return image(1, 0, append([]any{"x"}, parts...)...) }
	return map[string][]byte{
		"it begins with":                  []byte("GGML0000000000000000000000000000"),
		"at byte 0, 4 entries":            {'G', 'G'},
		"version 2, this reads 3":         append([]byte("GGUF\x02\x00\x00\x00"), make([]byte, 32)...),
		"big-endian":                      append([]byte("GGUF\x00\x00\x00\x03"), make([]byte, 32)...),
		"4611686018427387904 tensors":     image(huge, 0),
		"1048576 entries of at least":     image(1<<20, 0),
		"65536 entries of at least":       image(0, 1<<16),
		"a metadata key takes":            image(0, 1, huge, make([]byte, 16)),
		`value type 13 is not known`:      pair(uint32(13), make([]byte, 16)),
		`a list of value type 9 is not`:   pair(uint32(typeArray), uint32(typeArray), huge, make([]byte, 16)),
		`at byte 49, 46116860184273879`:   pair(uint32(typeArray), uint32(typeFloat64), huge, make([]byte, 16)),
		`metadata "k": truncated`:         pair(uint32(typeString), huge, make([]byte, 16)),
		`key "k" is empty, no UTF-8 or g`: image(0, 2, "k", uint32(typeBool), byte(1), "k", uint32(typeBool), byte(1), make([]byte, 16)),
		"a tensor's name takes 64 bytes":  image(1, 0, strings.Repeat("x", 64), make([]byte, 64)),
		`"x" has 5 dimensions`:            tensor(uint32(5), make([]byte, 64)),
		`"x" has 0 dimensions`:            tensor(uint32(0), make([]byte, 64)),
		`"x" has dimension 18446744`:      tensor(uint32(1), ^uint64(0), uint32(0), uint64(0), make([]byte, 64)),
		`is negative or too large`:        tensor(uint32(3), huge, huge, huge, uint32(0), uint64(0), make([]byte, 64)),
		`type 99 is not known`:            tensor(uint32(1), uint64(1), uint32(99), uint64(0), make([]byte, 64)),
		`rows of 31 elements`:             tensor(uint32(1), uint64(31), uint32(Q8_0), uint64(0), make([]byte, 64)),
		`offset 8 is no multiple`:         tensor(uint32(1), uint64(1), uint32(0), uint64(8), make([]byte, 64)),
		`the file is short by`:            tensor(uint32(1), uint64(1<<40), uint32(0), uint64(0), make([]byte, 64)),
		`"y" begins at 0, within`: image(2, 0, "x", uint32(1), uint64(1), uint32(0), uint64(0),
			"y", uint32(1), uint64(2), uint32(0), uint64(0), make([]byte, 64)),
		`general.alignment is 12`: image(0, 1, "general.alignment", uint32(typeUint32), uint32(12), make([]byte, 64)),
	}
}

func TestHostileHeadersAreRefusedWithoutMemory(t *testing.T) {
	for want, b := range hostile() {
		var err error
		if got := allocation.Bytes(func() { _, err = readHeader(bytes.NewReader(b), int64(len(b))) }); got > 1<<20 {
			t.Errorf("%q: %d bytes made %d bytes of memory", want, len(b), got)
		}
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTruncated) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestAFileCutAnywhereIsRefused(t *testing.T) {
	whole, err := os.ReadFile(write(t, []Pair{{"a", "text"}, {"b", []string{"x", "yz"}}, {"c", []int32{1}}}, values("x", F32, 3), values("y", Q8_0, 1, 32)))
	if err != nil {
		t.Fatal(err)
	}
	end := len(whole) - padding(34) // what follows the last tensor is padding
	for n := range end {
		if _, err := readHeader(bytes.NewReader(whole[:n]), int64(n)); !errors.Is(err, ErrTruncated) {
			t.Fatalf("cut to %d of %d bytes: %v", n, end, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range hostile() {
		f.Add(b)
	}
	good, err := os.ReadFile(write(f, []Pair{{"a", "text"}, {"b", []string{"x", "yz"}}, {"c", []float32{1}}, {"d", uint64(3)}}, values("x", F16, 3), values("y", Q8_0, 1, 32)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		var h *header
		var err error
		if got := allocation.Bytes(func() { h, err = readHeader(bytes.NewReader(b), int64(len(b))) }); got > allocation.Bound(len(b)) {
			t.Fatalf("%d bytes made %d bytes of memory", len(b), got)
		}
		if err != nil {
			if h != nil && !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
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
		for _, k := range file.Keys() {
			v, ok := file.Value(k)
			if !ok {
				t.Fatalf("key %q has no value", k)
			}
			a, ok := v.(Array)
			if !ok {
				continue
			}
			n := a.Len
			switch a.elem {
			case typeString:
				s, err := file.Strings(k)
				if err != nil {
					t.Fatal(err)
				}
				n = len(s)
			case typeFloat32:
				x, err := file.Float32s(k)
				if err != nil {
					t.Fatal(err)
				}
				n = len(x)
			}
			if n != a.Len {
				t.Fatalf("%q has %d elements, read %d", k, a.Len, n)
			}
		}
		for _, name := range file.Names() {
			info, _ := file.Info(name)
			if info.Type.Readable() {
				v, err := file.Float32(name)
				if err != nil || len(v) != info.Elements() {
					t.Fatalf("%q: %d values of %d: %v", name, len(v), info.Elements(), err)
				}
			}
		}
	})
}
