package sandbox

import "encoding/binary"

// maxGap is how many zero bytes between two data segments are written out to
// make one of them, maxRuns after how many segments that cannot be made one no
// more are: each gap is held against all of them.
const (
	maxGap  = 256
	maxRuns = 64
)

// run is a segment of the rewritten section.
type run struct {
	at   uint64
	data []byte
}

func (r *run) end() uint64 { return r.at + uint64(len(r.data)) }

// follows reports whether a segment at at can be added to the last run: behind
// it, with zeros only where no other run is.
func follows(runs []run, at uint64) bool {
	if len(runs) == 0 || len(runs) > maxRuns {
		return false
	}
	last := len(runs) - 1
	from := runs[last].end()
	if at < from || at-from > maxGap {
		return false
	}
	for i := range runs[:last] {
		if runs[i].at < at && from < runs[i].end() {
			return false
		}
	}
	return true
}

// mergeData rewrites a data section with fewer segments that leave the same
// memory. Go's linker writes tens of thousands, to save the zeros between
// them, and each costs every instance forty nanoseconds. A section that it
// does not understand, or that would become twice as long, stays as it is. No
// instruction may name a segment, which needs a data count section.
func mergeData(r *reader) []byte {
	var runs []run
	size := 0 // bytes of the runs
	for range r.u32() {
		flags, op := r.u32(), r.byte()
		at := uint64(uint32(r.signed(32)))
		end, data := r.byte(), r.bytes(int(r.u32()))
		if r.err != nil || flags != 0 || op != 0x41 || end != 0x0b { // i32.const, end
			return r.b
		}
		if !follows(runs, at) {
			runs = append(runs, run{at: at})
		}
		l := &runs[len(runs)-1]
		gap := int(at - l.end())
		l.data = append(append(l.data, make([]byte, gap)...), data...)
		if size += gap + len(data); size > 2*len(r.b) {
			return r.b
		}
	}
	if r.left() > 0 {
		return r.b
	}
	out := binary.AppendUvarint(make([]byte, 0, size+16*len(runs)), uint64(len(runs)))
	for _, s := range runs {
		out = appendSigned(append(out, 0, 0x41), int64(int32(s.at)))
		out = binary.AppendUvarint(append(out, 0x0b), uint64(len(s.data)))
		out = append(out, s.data...)
	}
	if len(out) > 2*len(r.b) {
		return r.b
	}
	return out
}
