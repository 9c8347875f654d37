package metricabi

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// decodeGroups reads the names of n groups at off: n + 1 offsets, then the bytes they count from. All is
// copied before it is looked at, since the block may be memory that the worker can still write to.
func decodeGroups(b []byte, off uint32, n, most int) ([]string, error) {
	if off < headerSize {
		return nil, fmt.Errorf("the groups' names are at %d, within the header", off)
	}
	at, err := section(b, "offsets of the groups' names", off, uint32(4*(n+1)))
	if err != nil {
		return nil, err
	}
	offsets := bytes.Clone(at)
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(offsets[4*i:]) }
	if word(0) != 0 {
		return nil, fmt.Errorf("offsets of the groups' names begin at %d, want 0", word(0))
	}
	for i := range n {
		if size := int64(word(i+1)) - int64(word(i)); size < 1 || size > MaxNameBytes {
			return nil, fmt.Errorf("group %d: the name has %d bytes, want 1 to %d", i, size, MaxNameBytes)
		}
	}
	if int64(word(n)) > int64(most) {
		return nil, fmt.Errorf("%d bytes of groups' names, at most %d", word(n), most)
	}
	at, err = section(b, "names of the groups", off+uint32(len(offsets)), word(n)) // section has seen that the sum fits
	if err != nil {
		return nil, err
	}
	text := string(at)
	names, seen := make([]string, n), make(map[string]bool, n)
	for i := range names {
		names[i] = text[word(i):word(i+1)]
		if err := checkName(names[i]); err != nil {
			return nil, fmt.Errorf("group %d: %w", i, err)
		}
		if seen[names[i]] {
			return nil, fmt.Errorf("group %d: the name %q is used twice", i, names[i])
		}
		seen[names[i]] = true
	}
	return names, nil
}

// checkIntervals refuses an interval whose ends are the wrong way round. The value itself may lie outside,
// as a bootstrap's may.
func (r *Result) checkIntervals() error {
	if r.Kind.width() != 3 {
		return nil
	}
	for i := 0; i < len(r.Values); i += 3 {
		if r.Defined(i+1) && r.Defined(i+2) && r.Values[i+1] > r.Values[i+2] {
			return fmt.Errorf("%q: the interval from %v to %v", r.Name, r.Values[i+1], r.Values[i+2])
		}
	}
	return nil
}
