package sandbox

import "encoding/binary"

// elementBytes is what an element of a table takes in wazero.
const elementBytes = 8

// tableType is a table as a module declares it.
type tableType struct {
	element byte
	limits
}

// tableLimits returns how many elements each table may reach, so that all of
// them together take little of the memory promised, and what they then take in
// bytes. Where nothing grows them, that is what they start with.
func (m *module) tableLimits(memory int64) (most []uint64, bytes int64) {
	start := uint64(0)
	for _, t := range m.tables {
		start += t.low
	}
	spare := uint64(0)
	if all := min(maxTableElements, uint64(memory)/elementBytes/8); m.growsTables && all > start {
		spare = (all - start) / uint64(len(m.tables))
	}
	for _, t := range m.tables {
		n := min(t.high, t.low+spare)
		most = append(most, n)
		bytes += int64(n) * elementBytes
	}
	return most, bytes
}

// tableSection declares the tables with the maxima of tableLimits: growing one
// beyond fails within the module, as memory.grow does.
func tableSection(tables []tableType, most []uint64) []byte {
	b := binary.AppendUvarint(nil, uint64(len(tables)))
	for i, t := range tables {
		b = append(b, t.element, 1)
		b = binary.AppendUvarint(binary.AppendUvarint(b, t.low), most[i])
	}
	return b
}
