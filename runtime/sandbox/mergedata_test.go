package sandbox_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// segment is an active data segment.
func segment(at int32, data []byte) []byte {
	return wasmtest.Cat([]byte{0}, wasmtest.I32c(at), wasmtest.End, wasmtest.Uleb(uint64(len(data))), data)
}

// writeData writes a data section whose offsets are below 8,192 into memory, and returns how many segments
// it has.
func writeData(t *testing.T, memory, body []byte) int {
	t.Helper()
	uleb := func() int {
		v, n := binary.Uvarint(body)
		if n <= 0 {
			t.Fatal("a number without an end")
		}
		body = body[n:]
		return int(v)
	}
	count := uleb()
	for range count {
		if body[0] != 0 || body[1] != 0x41 {
			t.Fatalf("a segment begins % x", body[:2])
		}
		body = body[2:]
		at := uleb() // not signed: the offsets' sign bits are clear, or the assembler added a byte
		if body[0] != 0x0b {
			t.Fatalf("% x after the offset", body[0])
		}
		body = body[1:]
		n := uleb()
		copy(memory[at:], body[:n])
		body = body[n:]
	}
	if len(body) > 0 {
		t.Errorf("%d bytes follow", len(body))
	}
	return count
}

func TestMergedDataLeavesTheSameMemory(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	merged := 0
	for range 2000 {
		var segments [][]byte
		at := 0
		for range 1 + rng.IntN(12) {
			switch rng.IntN(6) {
			case 0:
				at = rng.IntN(4096) // anywhere: over others, or between them
			default:
				at += rng.IntN(400)
			}
			data := make([]byte, rng.IntN(60))
			for i := range data {
				data[i] = byte(rng.IntN(3)) // zeros, too, over what others wrote
			}
			segments = append(segments, segment(int32(at), data))
			at += len(data)
		}
		body := wasmtest.Vec(segments...)
		want, got := make([]byte, 16<<10), make([]byte, 16<<10)
		before := writeData(t, want, body)
		after := writeData(t, got, sandbox.MergeData(body))
		if !bytes.Equal(got, want) {
			t.Fatalf("the memory differs: % x", body)
		}
		if after > before {
			t.Errorf("%d segments became %d", before, after)
		}
		if after < before {
			merged++
		}
	}
	if merged < 300 {
		t.Errorf("only %d sections of 2,000 were merged", merged)
	}
}

func TestDataThatIsNotUnderstoodStaysAsItIs(t *testing.T) {
	one := segment(16, []byte("abc"))
	for name, body := range map[string][]byte{
		"a passive segment":               wasmtest.Vec(one, wasmtest.Cat([]byte{1}, wasmtest.Uleb(1), []byte{7}), one),
		"an offset from a global":         wasmtest.Vec(one, wasmtest.Cat([]byte{0, 0x23, 0}, wasmtest.End, wasmtest.Uleb(1), []byte{7})),
		"bytes after the segments":        append(wasmtest.Vec(one, one), 0),
		"a memory by its number":          wasmtest.Vec(one, wasmtest.Cat([]byte{2, 0}, wasmtest.I32c(1), wasmtest.End, wasmtest.Uleb(0))),
		"a segment cut off":               wasmtest.Vec(one)[:5],
		"more zeros than there were data": wasmtest.Vec(segment(0, nil), segment(200, nil), segment(400, nil)),
	} {
		if got := sandbox.MergeData(body); !bytes.Equal(got, body) {
			t.Errorf("%s: % x became % x", name, body, got)
		}
	}
}
