package sandbox

import "encoding/binary"

// functionMeter rewrites one function body. Instructions gather in block until
// control may leave or join; then their price is charged ahead of them.
type functionMeter struct {
	r    *reader
	head []byte // the vector of local groups
	out  []byte

	block []byte
	price int64
	check bool // the block begins a loop or the function: see that fuel is left

	local, global, fuel, scratch int // how many there are; indices of the account and of an i32
	depth                        int
	whole                        bool // charged at once on entry; no account in a local
}

func (f *functionMeter) reset(r *reader, parameters, globals int) {
	*f = functionMeter{r: r, head: f.head[:0], out: f.out[:0], block: f.block[:0], local: parameters, global: globals}
}

// traits are what a look ahead tells about a body.
type traits struct {
	price              int64
	loops, calls, bulk bool
}

func (f *functionMeter) body() {
	groups := f.r.u32()
	start := f.r.pos
	for range groups {
		n := f.r.u32()
		if f.local += int(n); f.r.err != nil {
			return
		}
		f.r.byte()
	}
	declared := f.r.b[start:f.r.pos]
	ahead := f.traits()
	f.fuel, f.scratch = f.local, f.local+1
	f.whole = ahead.price <= maxWhole && !ahead.loops && !ahead.calls && !ahead.bulk
	f.depth = 1
	if f.whole {
		f.head = append(binary.AppendUvarint(f.head, uint64(groups)), declared...)
		if ahead.price > 0 {
			f.out = f.global64(f.out, 0x23)
			f.out = appendSigned(append(f.out, 0x42), ahead.price)
			f.out = f.global64(append(f.out, 0x7d), 0x24)
		}
	} else {
		more := uint64(1)
		if ahead.bulk {
			more = 2
		}
		f.head = append(binary.AppendUvarint(f.head, uint64(groups)+more), declared...)
		f.head = append(f.head, 1, 0x7e)
		if ahead.bulk {
			f.head = append(f.head, 1, 0x7f)
		}
		f.out = f.reload(f.out)
		f.check = ahead.loops || ahead.calls
	}
	for f.depth > 0 && f.r.err == nil {
		f.instruction()
	}
}

// traits reads the body to its end and goes back.
func (f *functionMeter) traits() traits {
	var t traits
	at := f.r.pos
	for depth := 1; depth > 0 && f.r.err == nil; {
		op, sub, _ := f.next()
		t.price += price(op)
		switch op {
		case 0x02, 0x04:
			depth++
		case 0x03:
			depth++
			t.loops = true
		case 0x0b:
			depth--
		case 0x10, 0x11:
			t.calls = true
		case 0xfc:
			t.bulk = t.bulk || bulkShift(sub) >= 0
		}
	}
	f.r.pos = at
	return t
}

// next reads one instruction: its opcode, the second opcode of a prefix, and
// the first index among its immediates.
func (f *functionMeter) next() (op byte, sub, index uint32) {
	r := f.r
	op = r.byte()
	at := r.pos
	if op >= 0x02 && op <= 0x04 {
		r.signed(33)
		return op, 0, 0
	}
	if op == 0x0b || r.err != nil {
		return op, 0, 0
	}
	r.immediates(op)
	again := reader{b: r.b, pos: at}
	switch {
	case op == 0xfc:
		sub = again.u32()
	case op == 0x0c, op == 0x0d, op >= 0x20 && op <= 0x24:
		index = again.u32()
	}
	return op, sub, index
}

// price is what an instruction costs whatever it works on.
func price(op byte) int64 {
	switch op {
	case 0x01, 0x02, 0x03, 0x05, 0x0b: // nop block loop else end
		return 0
	case 0x10, 0x11:
		return 1 + priceCall
	case 0x40:
		return 1 + priceMemoryGrow
	}
	return 1
}

// bulkShift returns by how much a bulk instruction's length, the topmost
// operand of each, is shifted to give its price; -1 for those without.
func bulkShift(sub uint32) int {
	switch sub {
	case 8, 10, 11: // memory.init copy fill: bytes
		return fillShift
	case 12, 14, 15, 17: // table.init copy grow fill: elements
		return 0
	}
	return -1
}

func (f *functionMeter) instruction() {
	from := f.r.pos
	op, sub, index := f.next()
	if f.r.err != nil {
		return
	}
	code := f.r.b[from:f.r.pos]
	if op >= 0x20 && op <= 0x22 && int64(index) >= int64(f.local) {
		f.r.failf("local %d of %d", index, f.local)
		return
	}
	if (op == 0x23 || op == 0x24) && int64(index) >= int64(f.global) {
		f.r.failf("global %d of %d", index, f.global)
		return
	}
	if op >= 0x02 && op <= 0x04 {
		f.depth++
	}
	if op == 0x0b {
		f.depth--
	}
	if f.whole {
		f.out = append(f.out, code...)
		return
	}
	f.price += price(op)
	switch {
	case op == 0x03: // loop
		f.flush()
		f.out = append(f.out, code...)
		f.check = true
	case op == 0x05, op == 0x0b && f.depth > 0: // else, end
		f.flush()
		f.out = append(f.out, code...)
	case op == 0x0b:
		f.flush()
		f.out = append(f.spill(f.out), code...)
	case op == 0x00, op == 0x0f: // unreachable, return
		f.block = append(f.spill(f.block), code...)
		f.flush()
	case op == 0x0c, op == 0x0d, op == 0x0e: // br, br_if, br_table
		if op == 0x0e || int64(index) >= int64(f.depth-1) {
			f.block = f.spill(f.block)
		}
		f.block = append(f.block, code...)
		f.flush()
	case op == 0x04: // if
		f.block = append(f.block, code...)
		f.flush()
	case op == 0x10, op == 0x11: // call, call_indirect
		f.block = append(f.spill(f.block), code...)
		f.block = f.reload(f.block)
	case op == 0xfc && bulkShift(sub) >= 0:
		f.block = append(f.bulk(f.block, bulkShift(sub)), code...)
	default:
		f.block = append(f.block, code...)
	}
}

// flush writes the block's charge and the block.
func (f *functionMeter) flush() {
	if f.price > 0 {
		f.out = f.local64(f.out, 0x20)
		f.out = appendSigned(append(f.out, 0x42), f.price) // i64.const
		f.out = f.local64(append(f.out, 0x7d), 0x21)       // i64.sub
	}
	if f.check {
		f.out = f.stopIfEmpty(f.out)
	}
	f.out = append(f.out, f.block...)
	f.block, f.price, f.check = f.block[:0], 0, false
}

// stopIfEmpty traps where the account is below zero.
func (f *functionMeter) stopIfEmpty(b []byte) []byte {
	b = append(f.local64(b, 0x20), 0x42, 0, 0x53, 0x04, 0x40) // i64.const 0, i64.lt_s, if
	return append(f.spill(b), 0x00, 0x0b)
}

// bulk charges by the length on top of the operands, which it leaves there. It
// traps by dividing by zero, since a branch at each would make compiling long
// rows of them slow: 1 / (1 + account>>63).
func (f *functionMeter) bulk(b []byte, shift int) []byte {
	b = binary.AppendUvarint(append(b, 0x22), uint64(f.scratch)) // local.tee
	b = f.local64(b, 0x20)
	b = binary.AppendUvarint(append(b, 0x20), uint64(f.scratch))
	b = append(b, 0xad, 0x42, byte(shift), 0x88, 0x7d) // i64.extend_i32_u, i64.const, i64.shr_u, i64.sub
	b = f.spill(f.local64(b, 0x21))
	b = f.local64(append(b, 0x42, 1), 0x20)
	return append(b, 0x42, 63, 0x87, 0x42, 1, 0x7c, 0x80, 0x1a) // i64.shr_s, i64.add, i64.div_u, drop
}

// spill hands the account over to the global, reload takes it back.
func (f *functionMeter) spill(b []byte) []byte  { return f.global64(f.local64(b, 0x20), 0x24) }
func (f *functionMeter) reload(b []byte) []byte { return f.local64(f.global64(b, 0x23), 0x21) }

func (f *functionMeter) local64(b []byte, op byte) []byte {
	return binary.AppendUvarint(append(b, op), uint64(f.fuel))
}

func (f *functionMeter) global64(b []byte, op byte) []byte {
	return binary.AppendUvarint(append(b, op), uint64(f.global))
}

// appendSigned appends signed LEB128.
func appendSigned(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if v == 0 && c&0x40 == 0 || v == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
