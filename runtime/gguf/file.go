package gguf

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"triality/runtime/disk"
)

// File is one open GGUF file. Its methods may be called from several goroutines at once; none may be
// called after Close.
type File struct {
	path string
	f    *os.File
	h    *header
}

// Open reads and checks the head of the file at path; tensors and lists are read when asked for.
func Open(path string) (*File, error) {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return nil, fmt.Errorf("open gguf: %w", err)
	}
	st, err := f.Stat()
	var h *header
	if err == nil {
		h, err = readHeader(f, st.Size())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &File{path: path, f: f, h: h}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Keys lists the metadata in the file's order.
func (f *File) Keys() []string { return slices.Clone(f.h.keys) }

// Value is a metadata entry: an integer, float, bool or string of the type stored, or an Array.
func (f *File) Value(key string) (any, bool) {
	v, ok := f.h.values[key]
	return v, ok
}

// Text is a metadata entry that is a string, empty where there is none.
func (f *File) Text(key string) string {
	s, _ := f.h.values[key].(string)
	return s
}

// Int is a metadata entry that is a whole number of any width.
func (f *File) Int(key string) (int, bool) {
	switch v := f.h.values[key].(type) {
	case uint8:
		return int(v), true
	case int8:
		return int(v), true
	case uint16:
		return int(v), true
	case int16:
		return int(v), true
	case uint32:
		return int(v), true
	case int32:
		return int(v), true
	case int64:
		return int(v), true
	case uint64:
		return int(v), v <= math.MaxInt
	}
	return 0, false
}

// Strings reads a metadata entry that is a list of strings.
func (f *File) Strings(key string) ([]string, error) {
	a, b, err := f.array(key, typeString)
	if err != nil {
		return nil, err
	}
	all, list := string(b), make([]string, a.Len)
	for i := range list { // the lengths were checked by Open
		n := binary.LittleEndian.Uint64(b)
		list[i] = all[8 : 8+n]
		b, all = b[8+n:], all[8+n:]
	}
	return list, nil
}

// Int32s reads a metadata entry that is a list of int32.
func (f *File) Int32s(key string) ([]int32, error) {
	a, b, err := f.array(key, typeInt32)
	if err != nil {
		return nil, err
	}
	list := make([]int32, a.Len)
	for i := range list {
		list[i] = int32(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return list, nil
}

// Float32s reads a metadata entry that is a list of float32.
func (f *File) Float32s(key string) ([]float32, error) {
	a, b, err := f.array(key, typeFloat32)
	if err != nil {
		return nil, err
	}
	list := make([]float32, a.Len)
	decode(list, F32, b)
	return list, nil
}

func (f *File) array(key string, elem valueType) (Array, []byte, error) {
	a, ok := f.h.values[key].(Array)
	if !ok || a.elem != elem {
		return Array{}, nil, fmt.Errorf("%s: metadata %q is missing or no list of that type", f.path, key)
	}
	b := make([]byte, a.size)
	if _, err := io.ReadFull(io.NewSectionReader(f.f, a.at, a.size), b); err != nil {
		return Array{}, nil, fmt.Errorf("%s: metadata %q: read: %w", f.path, key, err)
	}
	return a, b, nil
}

// Names lists the tensors in the order of their bytes.
func (f *File) Names() []string { return slices.Clone(f.h.names) }

// Info describes a tensor; ok is false where the file has none of that name.
func (f *File) Info(name string) (info Info, ok bool) {
	info, ok = f.h.infos[name]
	info.Shape = slices.Clone(info.Shape)
	return info, ok
}

// ReadFloat32 reads a part of a tensor of type F32, F16, BF16 or Q8_0 as float32: the elements from
// at on, as many as dst holds; for Q8_0 both are whole blocks.
func (f *File) ReadFloat32(name string, dst []float32, at int) error {
	info, ok := f.h.infos[name]
	if !ok {
		return fmt.Errorf("%s: %w: %q", f.path, ErrNoTensor, name)
	}
	if !info.Type.Readable() {
		return fmt.Errorf("%s: tensor %q is %v, which is not read as float32 (f32, f16, bf16 and q8_0 are)", f.path, name, info.Type)
	}
	l, n := layouts[info.Type], info.Elements()
	if at < 0 || at > n || len(dst) > n-at || at%l.block != 0 || len(dst)%l.block != 0 {
		return fmt.Errorf("%s: tensor %q has %d elements in blocks of %d, %d from %d on are asked for", f.path, name, n, l.block, len(dst), at)
	}
	// In pieces, so that the bytes as stored do not double the memory.
	r := io.NewSectionReader(f.f, f.h.dataAt+info.Offset+int64(at/l.block*l.bytes), info.Size)
	const piece = 1 << 15 // elements, whole blocks of every type
	buf := make([]byte, min(piece, len(dst))/l.block*l.bytes)
	for len(dst) > 0 {
		k := min(piece, len(dst))
		b := buf[:k/l.block*l.bytes]
		if _, err := io.ReadFull(r, b); err != nil {
			return fmt.Errorf("%s: tensor %q: read: %w", f.path, name, err)
		}
		decode(dst[:k], info.Type, b)
		dst = dst[k:]
	}
	return nil
}

// Float32 reads a whole tensor as ReadFloat32 does.
func (f *File) Float32(name string) ([]float32, error) {
	info, ok := f.h.infos[name]
	if !ok || !info.Type.Readable() {
		return nil, f.ReadFloat32(name, nil, 0)
	}
	dst := make([]float32, info.Elements())
	return dst, f.ReadFloat32(name, dst, 0)
}

// Architecture is the model's architecture: llama, qwen2 and so on.
func (f *File) Architecture() string { return f.Text("general.architecture") }
