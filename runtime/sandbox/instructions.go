package sandbox

// scanBody walks one function body: locals, then instructions, whose
// immediates are read as far as needed to find the next one.
func (m *module) scanBody(r *reader) {
	locals := uint64(0)
	for range r.count("groups of locals", 2, maxLocals) {
		locals += uint64(r.u32())
		r.valueType()
		if locals > maxLocals {
			r.failf("%d locals in a function, at most %d", locals, maxLocals)
		}
		if r.err != nil {
			return
		}
	}
	if m.locals += int(locals); m.locals > maxAllLocals {
		r.failf("more than %d locals in all functions", maxAllLocals)
	}
	for depth := 1; r.err == nil; {
		op := r.byte()
		switch {
		case r.err != nil:
		case op >= 0x02 && op <= 0x04: // block loop if
			r.blockType(len(m.types))
			if depth++; depth > maxNesting {
				r.failf("blocks nested more than %d deep", maxNesting)
			}
		case op == 0x0b: // end
			if depth--; depth == 0 {
				if r.left() > 0 {
					r.failf("%d bytes follow the end of a function", r.left())
				}
				return
			}
		default:
			r.immediates(op)
		}
	}
}

func (r *reader) blockType(types int) {
	t := r.signed(33)
	if r.err == nil && t >= int64(types) {
		r.failf("block type %d of %d", t, types)
	}
	if t < 0 && valueNames[byte(t&0x7f)] == "" && t != -64 {
		r.failf("block type %d", t)
	}
}

// immediates skips what follows an opcode other than those of blocks.
func (r *reader) immediates(op byte) {
	switch {
	case op <= 0x01, op == 0x05, op == 0x0f, op == 0x1a, op == 0x1b, op == 0xd1, op >= 0x45 && op <= 0xc4:
	case op == 0x0c, op == 0x0d, op == 0x10, op >= 0x20 && op <= 0x26, op == 0xd2:
		r.u32()
	case op == 0x0e: // br_table
		for range r.count("branch targets", 1, maxBranchTable) {
			if r.u32(); r.err != nil {
				return
			}
		}
		r.u32()
	case op == 0x11: // call_indirect
		r.u32()
		r.u32()
	case op == 0x1c: // select with types
		for range r.count("select types", 1, 1) {
			r.valueType()
		}
	case op >= 0x28 && op <= 0x3e:
		r.memoryArgument()
	case op == 0x3f, op == 0x40:
		r.memoryIndex()
	case op == 0x41:
		r.signed(32)
	case op == 0x42:
		r.signed(64)
	case op == 0x43:
		r.bytes(4)
	case op == 0x44:
		r.bytes(8)
	case op == 0xd0:
		r.refType()
	case op == 0xfc:
		r.bulk()
	case op == 0xfd:
		r.vector()
	default:
		r.failf("instruction %#x is not part of WebAssembly 2.0", op)
	}
}

func (r *reader) memoryArgument() {
	r.u32()
	r.u32()
}

func (r *reader) memoryIndex() {
	if i := r.byte(); r.err == nil && i != 0 {
		r.failf("memory %d, there is only memory 0", i)
	}
}

// bulk skips the rest of a saturating conversion or a bulk instruction.
func (r *reader) bulk() {
	switch op := r.u32(); {
	case op <= 7:
	case op == 8: // memory.init
		r.u32()
		r.memoryIndex()
	case op == 10: // memory.copy
		r.memoryIndex()
		r.memoryIndex()
	case op == 11: // memory.fill
		r.memoryIndex()
	case op == 12, op == 14: // table.init, table.copy
		r.u32()
		r.u32()
	case op == 9, op == 13, op >= 15 && op <= 17: // data.drop elem.drop table.grow size fill
		r.u32()
		r.growsTable = r.growsTable || op == 15
	default:
		r.failf("instruction 0xfc %d is not part of WebAssembly 2.0", op)
	}
}

// vector skips the rest of a SIMD instruction.
func (r *reader) vector() {
	switch op := r.u32(); {
	case op <= 11, op == 92, op == 93: // loads and stores
		r.memoryArgument()
	case op == 12, op == 13: // v128.const, i8x16.shuffle
		r.bytes(16)
	case op >= 21 && op <= 34: // lanes
		r.byte()
	case op >= 84 && op <= 91: // lane loads and stores
		r.memoryArgument()
		r.byte()
	case op <= 255:
	default:
		r.failf("instruction 0xfd %d is not part of WebAssembly 2.0", op)
	}
}

// constant skips a constant expression: one value, then end. Only an imported
// global may stand in one, and none can be imported.
func (r *reader) constant() {
	switch op := r.byte(); {
	case r.err != nil:
		return
	case op >= 0x41 && op <= 0x44, op == 0xd0, op == 0xd2:
		r.immediates(op)
	case op == 0xfd:
		if sub := r.u32(); r.err == nil && sub != 12 {
			r.failf("instruction 0xfd %d in a constant expression", sub)
		}
		r.bytes(16)
	default:
		r.failf("instruction %#x in a constant expression", op)
	}
	if end := r.byte(); r.err == nil && end != 0x0b {
		r.failf("a constant expression of more than one instruction")
	}
}
