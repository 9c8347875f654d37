package train

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

// A checkpoint file is
//
//	8 bytes   "TRICKPT1"
//	8 bytes   length of the header, little-endian
//	header    JSON: state and the list of tensors
//	tensors   little-endian float32 or float64 (float_bits), or bytes, in the list's order, without gaps
//	32 bytes  SHA-256 of everything before it
const checkpointMagic = "TRICKPT1"

// checkpoint is the state of a run between two optimizer steps.
type checkpoint struct {
	Identity map[string]string `json:"identity"` // what decides the result; see Options.identity
	Step     int               `json:"step"`     // optimizer steps done
	Epoch    int               `json:"epoch"`    // epochs done
	Position int               `json:"position"` // sequences of the current epoch's order that are done
	Records  []Record          `json:"records"`
	Pending  pending           `json:"pending"`
	Best     *chosen           `json:"best,omitempty"`       // where evaluations choose
	Scale    *lossScale        `json:"loss_scale,omitempty"` // in Float16
	Float    int               `json:"float_bits"`           // 32 or 64
	Tensors  []tensorInfo      `json:"tensors"`

	file io.ReaderAt // the tensors of a checkpoint that was read
	at   []int64     // offset of each tensor in file
}

// pending is what has gathered since the last record.
type pending struct {
	Steps   int                `json:"steps"`
	Sums    map[string]float64 `json:"sums"`
	Last    map[string]float64 `json:"last"`
	Trained int64              `json:"trained_tokens"` // since the start of the run
}

// codes is the dtype of 8-bit optimizer states: bytes.
const codes = "U8"

// tensorInfo names one tensor: weights/NAME, adam_m/NAME or adam_v/NAME, adam_m/NAME/max where the
// moments are codes, for the scale of each block, and best/NAME for the weights of the best evaluation.
type tensorInfo struct {
	Name     string `json:"name"`
	Elements int    `json:"elements"`
	DType    string `json:"dtype,omitempty"` // codes, or nothing for floats
}

// width is the size of an element in bytes.
func (t tensorInfo) width(floatBits int) int64 {
	if t.DType == codes {
		return 1
	}
	return int64(floatBits / 8)
}

// writeCheckpoint writes c to path, whole or not at all, and returns the file's size. read gives the
// content of each tensor of c.Tensors, as []float32 or []float64 according to c.Float, or []int8, when
// its turn comes.
func writeCheckpoint(path string, c *checkpoint, read func(i int) (any, error)) (int64, error) {
	head, err := json.Marshal(c)
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", path, err)
	}
	size := int64(len(checkpointMagic) + 8 + len(head) + sha256.Size)
	err = atomicfile.WriteFile(path, 0o644, func(file io.Writer) error {
		sum := sha256.New()
		w := bufio.NewWriterSize(io.MultiWriter(file, sum), 1<<20)
		w.WriteString(checkpointMagic) // a bufio.Writer keeps its first error for Flush
		w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(head))))
		w.Write(head)
		for i, t := range c.Tensors {
			data, err := read(i)
			if err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
			if err := binary.Write(w, binary.LittleEndian, data); err != nil {
				return fmt.Errorf("tensor %s: %w", t.Name, err)
			}
			size += int64(t.Elements) * t.width(c.Float)
		}
		if err := w.Flush(); err != nil {
			return err
		}
		_, err := file.Write(sum.Sum(nil))
		return err
	})
	return size, err
}

// openCheckpoint reads the state in the file at path and checks the whole file against its
// checksum. Damage is ErrDamaged. The caller closes the file when the tensors are read.
func openCheckpoint(path string) (*checkpoint, *os.File, error) {
	f, err := disk.OpenRegular(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	c, err := parseCheckpoint(f, info.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return c, f, nil
}

// parseCheckpoint checks a checkpoint of size bytes and reads its header. What it allocates is
// bounded by size.
func parseCheckpoint(file io.ReaderAt, size int64) (*checkpoint, error) {
	damaged := func(format string, a ...any) error {
		return fmt.Errorf("%w: %w", ErrDamaged, fmt.Errorf(format, a...))
	}
	body := size - sha256.Size
	if body < 16 {
		return nil, damaged("%d bytes are too few", size)
	}
	var prefix [16]byte
	if _, err := file.ReadAt(prefix[:], 0); err != nil {
		return nil, damaged("read: %w", err)
	}
	if string(prefix[:8]) != checkpointMagic {
		return nil, damaged("it does not begin with %q", checkpointMagic)
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, body)); err != nil {
		return nil, damaged("read: %w", err)
	}
	var stored [sha256.Size]byte
	if _, err := file.ReadAt(stored[:], body); err != nil {
		return nil, damaged("read: %w", err)
	}
	if !bytes.Equal(stored[:], sum.Sum(nil)) {
		return nil, damaged("the checksum of its %d bytes does not match", size)
	}
	n := binary.LittleEndian.Uint64(prefix[8:])
	if n > uint64(body-16) {
		return nil, damaged("the header takes %d bytes, %d are there", n, body-16)
	}
	head := make([]byte, n)
	if _, err := file.ReadAt(head, 16); err != nil {
		return nil, damaged("header: %w", err)
	}
	c := &checkpoint{file: file}
	dec := json.NewDecoder(bytes.NewReader(head))
	dec.DisallowUnknownFields()
	if err := dec.Decode(c); err != nil {
		return nil, damaged("header: %w", err)
	}
	if c.Float != 32 && c.Float != 64 {
		return nil, damaged("header: float_bits is %d", c.Float)
	}
	at := 16 + int64(n)
	for _, t := range c.Tensors {
		if t.DType != "" && t.DType != codes {
			return nil, damaged("tensor %s has dtype %q", t.Name, t.DType)
		}
		if t.Elements < 0 || int64(t.Elements) > (body-at)/t.width(c.Float) {
			return nil, damaged("tensor %s has %d elements, %d bytes are left", t.Name, t.Elements, body-at)
		}
		c.at = append(c.at, at)
		at += int64(t.Elements) * t.width(c.Float)
	}
	if at != body {
		return nil, damaged("%d bytes follow the last tensor", body-at)
	}
	return c, nil
}

// tensor reads the tensor that want describes, as []float32 or []float64 according to c.Float, or []int8.
func (c *checkpoint) tensor(want tensorInfo) (any, error) {
	for i, t := range c.Tensors {
		if t.Name != want.Name {
			continue
		}
		if t != want {
			return nil, fmt.Errorf("checkpoint tensor %s has %d elements of dtype %q, want %d of %q", t.Name, t.Elements, t.DType, want.Elements, want.DType)
		}
		r := bufio.NewReaderSize(io.NewSectionReader(c.file, c.at[i], int64(t.Elements)*t.width(c.Float)), 1<<20)
		data := t.data(c.Float)
		if err := binary.Read(r, binary.LittleEndian, data); err != nil {
			return nil, fmt.Errorf("checkpoint tensor %s: %w", t.Name, err)
		}
		return data, nil
	}
	return nil, fmt.Errorf("checkpoint tensor %s is missing", want.Name)
}

// data makes a slice for a tensor's content.
func (t tensorInfo) data(floatBits int) any {
	if t.DType == codes {
		return make([]int8, t.Elements)
	}
	return floats(floatBits, t.Elements)
}

// floats makes a slice of n floats of 32 or 64 bits.
func floats(bits, n int) any {
	if bits == 32 {
		return make([]float32, n)
	}
	return make([]float64, n)
}
