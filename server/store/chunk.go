package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"triality/experiments"
)

// Points of one series lie in chunks: crc32c of the rest (4 bytes), number of points (2), then for each
// point the signed varint differences of step and time to the point before (0, 0 at a chunk's start)
// and the 8 bytes of the value, so NaN and infinities keep their bits. Integers are little-endian.
const (
	chunkHeader    = 6
	maxChunkPoints = 256
	maxChunkBytes  = 3 << 10 // several in a page of 4 KiB would be split anyway
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunk is a chunk being filled.
type chunk struct {
	b     []byte
	count int
	last  experiments.Point
}

func newChunk() *chunk { return &chunk{b: make([]byte, chunkHeader, 64)} }

// reopenChunk goes on with a stored chunk whose last point is known. It copies b.
func reopenChunk(b []byte, last experiments.Point) (*chunk, error) {
	n, err := checkChunk(b)
	if err != nil {
		return nil, err
	}
	return &chunk{b: append(make([]byte, 0, len(b)+64), b...), count: n, last: last}, nil
}

func (c *chunk) full() bool { return c.count >= maxChunkPoints || len(c.b) >= maxChunkBytes }

func (c *chunk) add(p experiments.Point) {
	c.b = binary.AppendVarint(c.b, p.Step-c.last.Step)
	c.b = binary.AppendVarint(c.b, p.Time-c.last.Time)
	c.b = binary.LittleEndian.AppendUint64(c.b, math.Float64bits(p.Value))
	c.last = p
	c.count++
}

// seal writes the header and gives the bytes to store.
func (c *chunk) seal() []byte {
	binary.LittleEndian.PutUint16(c.b[4:], uint16(c.count))
	binary.LittleEndian.PutUint32(c.b, crc32.Checksum(c.b[4:], castagnoli))
	return c.b
}

func checkChunk(b []byte) (points int, err error) {
	if len(b) < chunkHeader {
		return 0, fmt.Errorf("chunk of %d bytes, want at least %d", len(b), chunkHeader)
	}
	if got, want := crc32.Checksum(b[4:], castagnoli), binary.LittleEndian.Uint32(b); got != want {
		return 0, fmt.Errorf("chunk checksum %08x, want %08x", got, want)
	}
	return int(binary.LittleEndian.Uint16(b[4:])), nil
}

// decodeChunk appends a chunk's points to out.
func decodeChunk(out []experiments.Point, b []byte) ([]experiments.Point, error) {
	n, err := checkChunk(b)
	if err != nil {
		return out, err
	}
	b = b[chunkHeader:]
	out = slices.Grow(out, n)
	var p experiments.Point
	for range n {
		step, sn := shortVarint(b)
		if sn <= 0 {
			return out, errors.New("chunk ends inside a point's step")
		}
		t, tn := shortVarint(b[sn:])
		if tn <= 0 || len(b) < sn+tn+8 {
			return out, errors.New("chunk ends inside a point")
		}
		p.Step += step
		p.Time += t
		p.Value = math.Float64frombits(binary.LittleEndian.Uint64(b[sn+tn:]))
		out = append(out, p)
		b = b[sn+tn+8:]
	}
	if len(b) != 0 {
		return out, fmt.Errorf("chunk has %d bytes after its last point", len(b))
	}
	return out, nil
}

// shortVarint is binary.Varint, inlined where the number is one byte long, as most differences between neighbours are.
func shortVarint(b []byte) (int64, int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	return binary.Varint(b)
}

// head is what a series' record holds: 108 bytes, little-endian, in this order. Those of format 1 end after the
// last point, those of format 2 after its top.
type head struct {
	id     uint64
	count  uint64
	chunks uint32
	last   experiments.Point
	// top is the greatest step and, of that step, the greatest time: a point beyond it is new.
	top      moment
	topKnown bool
	extent   extent
}

// moment is a point's place in its run.
type moment struct{ step, time int64 }

func momentOf(p experiments.Point) moment { return moment{p.Step, p.Time} }

func (m moment) after(n moment) bool { return m.step > n.step || m.step == n.step && m.time > n.time }

const (
	headBytes1 = 8 + 8 + 4 + 8 + 8 + 8
	headBytes2 = headBytes1 + 8 + 8
	headBytes  = headBytes2 + 6*8
)

func (h head) encode() []byte {
	put := func(b []byte, words ...uint64) []byte {
		for _, w := range words {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
		return b
	}
	b := put(make([]byte, 0, headBytes), h.id, h.count)
	b = binary.LittleEndian.AppendUint32(b, h.chunks)
	b = put(b, uint64(h.last.Step), uint64(h.last.Time), math.Float64bits(h.last.Value))
	if !h.topKnown {
		return b
	}
	e := h.extent
	return put(b, uint64(h.top.step), uint64(h.top.time),
		e.finite, math.Float64bits(e.least), uint64(e.leastStep), math.Float64bits(e.greatest), uint64(e.greatestStep), math.Float64bits(e.mean))
}

func decodeHead(b []byte) (head, error) {
	if len(b) != headBytes && len(b) != headBytes2 && len(b) != headBytes1 {
		return head{}, fmt.Errorf("series record of %d bytes, want %d", len(b), headBytes)
	}
	u := binary.LittleEndian.Uint64
	f := func(b []byte) float64 { return math.Float64frombits(u(b)) }
	h := head{
		id: u(b), count: u(b[8:]), chunks: binary.LittleEndian.Uint32(b[16:]),
		last:   experiments.Point{Step: int64(u(b[20:])), Time: int64(u(b[28:])), Value: f(b[36:])},
		extent: noExtent,
	}
	if len(b) >= headBytes2 {
		h.top, h.topKnown = moment{int64(u(b[44:])), int64(u(b[52:]))}, true
	}
	if len(b) == headBytes {
		h.extent = extent{u(b[60:]), f(b[68:]), int64(u(b[76:])), f(b[84:]), int64(u(b[92:])), f(b[100:])}
	}
	return h, nil
}

func chunkKey(series uint64, n uint32) []byte {
	return binary.BigEndian.AppendUint32(uintKey(series), n)
}
