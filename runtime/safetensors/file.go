package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"triality/runtime/disk"
)

// File is one open safetensors file. Its methods may be called from several
// goroutines at once; none may be called after Close.
type File struct {
	path string
	f    *os.File
	h    *header
}

// Open reads and checks the header of the file at path; tensors are read when
// asked for. The error names the file, and for a truncated one the number of
// bytes it lacks.
func Open(path string) (*File, error) {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return nil, fmt.Errorf("open safetensors: %w", err)
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

// Names lists the tensors in the order of their bytes in the file.
func (f *File) Names() []string { return slices.Clone(f.h.names) }

// Info describes a tensor; ok is false where the file has none of that name.
func (f *File) Info(name string) (info Info, ok bool) {
	info, ok = f.h.infos[name]
	info.Shape = slices.Clone(info.Shape)
	return info, ok
}

// Metadata returns the file's free-form metadata, empty where it has none.
func (f *File) Metadata() map[string]string {
	m := maps.Clone(f.h.metadata)
	if m == nil {
		m = map[string]string{}
	}
	return m
}

// Bytes reads a tensor as stored: little-endian, row-major.
func (f *File) Bytes(name string) ([]byte, error) {
	info, err := f.find(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, info.End-info.Begin)
	if _, err := io.ReadFull(f.section(info), b); err != nil {
		return nil, f.readError(name, err)
	}
	return b, nil
}

// Float32 reads a tensor of type F32, F16 or BF16, widened to float32, row-major.
func (f *File) Float32(name string) ([]float32, error) {
	info, err := f.find(name)
	if err != nil {
		return nil, err
	}
	dst := make([]float32, info.Elements())
	return dst, f.ReadFloat32(name, dst)
}

// ReadFloat32 is Float32 into memory the caller has: len(dst) must be the
// tensor's number of elements.
func (f *File) ReadFloat32(name string, dst []float32) error {
	info, err := f.find(name)
	if err != nil {
		return err
	}
	if len(dst) != info.Elements() {
		return fmt.Errorf("%s: tensor %q has %d elements, the destination %d", f.path, name, info.Elements(), len(dst))
	}
	return f.ReadFloat32At(name, dst, 0)
}

// ReadFloat32At is ReadFloat32 for the elements from at on, as many as dst holds: a part of a tensor
// that need not be in memory whole.
func (f *File) ReadFloat32At(name string, dst []float32, at int) error {
	info, err := f.find(name)
	if err != nil {
		return err
	}
	if at < 0 || at > info.Elements() || len(dst) > info.Elements()-at {
		return fmt.Errorf("%s: tensor %q has %d elements, %d from %d on are asked for", f.path, name, info.Elements(), len(dst), at)
	}
	var widen func(dst []float32, src []byte)
	switch info.DType {
	case F32:
		widen = widenF32
	case F16:
		widen = widenF16
	case BF16:
		widen = widenBF16
	default:
		return fmt.Errorf("%s: tensor %q is %s, which is not read as float32 (F32, F16 and BF16 are)", f.path, name, info.DType)
	}
	// In pieces, so that the bytes as stored do not double the memory.
	size := info.DType.Size()
	info.Begin += int64(at) * int64(size)
	r := f.section(info)
	buf := make([]byte, min(1<<18, len(dst)*size))
	for len(dst) > 0 {
		n := min(len(buf)/size, len(dst))
		if _, err := io.ReadFull(r, buf[:n*size]); err != nil {
			return f.readError(name, err)
		}
		widen(dst[:n], buf)
		dst = dst[n:]
	}
	return nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

func (f *File) find(name string) (Info, error) {
	info, ok := f.h.infos[name]
	if !ok {
		return Info{}, fmt.Errorf("%s: %w: %q", f.path, ErrNoTensor, name)
	}
	return info, nil
}

func (f *File) section(info Info) io.Reader {
	return io.NewSectionReader(f.f, f.h.dataAt+info.Begin, info.End-info.Begin)
}

func (f *File) readError(name string, err error) error {
	return fmt.Errorf("%s: tensor %q: read: %w", f.path, name, err)
}

func widenF32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func widenF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = F16ToFloat32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func widenBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = BF16ToFloat32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}
