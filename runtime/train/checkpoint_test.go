package train

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/runtime/allocation"
)

func sampleCheckpoint() (*checkpoint, []any) {
	c := &checkpoint{
		Identity: map[string]string{"seed": "1", "examples": "abc"}, Step: 7, Epoch: 1, Position: 4, Float: 32,
		Records: []Record{{Step: 5, Epoch: 0.5, Values: map[string]float64{"loss": 1.0 / 3}}},
		Pending: pending{Steps: 2, Sums: map[string]float64{"loss": 0.1}, Trained: 99},
		Tensors: []tensorInfo{{"weights/a", 3, ""}, {"adam_m/a", 2, codes}, {"adam_m/a/max", 1, ""}},
	}
	return c, []any{[]float32{1, -2, 3.5}, []int8{-128, 7}, []float32{4}}
}

func writeSample(t testing.TB, path string) []byte {
	t.Helper()
	c, data := sampleCheckpoint()
	size, err := writeCheckpoint(path, c, func(i int) (any, error) { return data[i], nil })
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(raw)) != size {
		t.Errorf("size %d, the file has %d bytes", size, len(raw))
	}
	return raw
}

func TestACheckpointReadsBackAsWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint-7.ckpt")
	writeSample(t, path)
	got, f, err := openCheckpoint(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, data := sampleCheckpoint()
	for i, info := range want.Tensors {
		v, err := got.tensor(info)
		if err != nil || !reflect.DeepEqual(v, data[i]) {
			t.Errorf("%s: %v %v", info.Name, v, err)
		}
	}
	got.file, got.at = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if _, err := (&checkpoint{}).tensor(tensorInfo{Name: "weights/z", Elements: 1}); err == nil || !strings.Contains(err.Error(), "weights/z is missing") {
		t.Errorf("missing tensor: %v", err)
	}
}

func TestEveryFlippedBitAndEveryTruncationIsDamage(t *testing.T) {
	raw := writeSample(t, filepath.Join(t.TempDir(), "c"))
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 1 << (i % 8)
		if _, err := parseCheckpoint(bytes.NewReader(bad), int64(len(bad))); !errors.Is(err, ErrDamaged) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
		if _, err := parseCheckpoint(bytes.NewReader(raw[:i]), int64(i)); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
}

func TestACheckpointEndsWithItsLastTensor(t *testing.T) {
	raw := writeSample(t, filepath.Join(t.TempDir(), "c"))
	body := raw[:len(raw)-sha256.Size]
	for extra, want := range map[int]string{-1: "tensor adam_m/a/max has 1 elements, 3 bytes are left", 0: "", 1: "1 bytes follow the last tensor", 4: "4 bytes follow the last tensor"} {
		changed := slices.Clone(body[:len(body)+min(extra, 0)])
		in := sealed(append(changed, make([]byte, max(extra, 0))...)) // its checksum is right
		_, err := parseCheckpoint(bytes.NewReader(in), int64(len(in)))
		if want == "" {
			if err != nil {
				t.Error(err)
			}
		} else if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+d bytes: %v", extra, err)
		}
	}
}

func TestAHeaderThatDoesNotFitIsToldInBytes(t *testing.T) {
	file := func(length uint64, rest string) []byte {
		return sealed(append(binary.LittleEndian.AppendUint64([]byte(checkpointMagic), length), rest...))
	}
	const head = `{"float_bits":32,"tensors":[{"name":"a","elements":0}]}`
	for name, tt := range map[string]struct {
		in   []byte
		want string // of the error; empty: there is none
	}{
		"less than a length":        {sealed([]byte(checkpointMagic + "1234567")), "47 bytes are too few"},
		"a length of nothing":       {file(0, ""), "header: EOF"},
		"one byte too many":         {file(5, "1234"), "the header takes 5 bytes, 4 are there"},
		"more than there can be":    {file(1<<63, "1234"), "the header takes 9223372036854775808 bytes, 4 are there"},
		"a header and nothing more": {file(uint64(len(head)), head), ""},
		"fewer elements than none":  {file(uint64(len(head))+1, strings.Replace(head, ":0", ":-1", 1)), "tensor a has -1 elements, 0 bytes are left"},
	} {
		_, err := parseCheckpoint(bytes.NewReader(tt.in), int64(len(tt.in)))
		if tt.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFailedWriteLeavesTheFolderAsItWas(t *testing.T) {
	dir := t.TempDir()
	c, _ := sampleCheckpoint()
	boom := errors.New("device lost")
	_, err := writeCheckpoint(filepath.Join(dir, "checkpoint-7.ckpt"), c, func(int) (any, error) { return nil, boom })
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "weights/a") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	raw := writeSample(f, filepath.Join(f.TempDir(), "c"))
	f.Add(raw)
	f.Add(raw[:40])
	f.Add([]byte(checkpointMagic + "\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// Give the header a chance behind the checksum.
		for _, in := range [][]byte{b, sealed(b)} {
			var c *checkpoint
			var err error
			if got := allocation.Bytes(func() { c, err = parseCheckpoint(bytes.NewReader(in), int64(len(in))) }); got > allocation.Bound(len(in)) {
				t.Fatalf("%d bytes made %d bytes of memory", len(in), got)
			}
			if err != nil {
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("not ErrDamaged: %v", err)
				}
				continue
			}
			for _, info := range c.Tensors {
				if _, err := c.tensor(info); err != nil && !strings.Contains(err.Error(), "elements") {
					t.Fatal(err)
				}
			}
		}
	})
}
