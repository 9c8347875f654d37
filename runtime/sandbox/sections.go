package sandbox

import "strings"

// valueNames are the value types of WebAssembly 2.0.
var valueNames = map[byte]string{0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128",
	0x70: "funcref", 0x6f: "externref"}

func (r *reader) valueType() string {
	c := r.byte()
	name := valueNames[c]
	if name == "" {
		r.failf("unknown value type %#x", c)
	}
	return name
}

func (r *reader) refType() byte {
	c := r.byte()
	if r.err == nil && c != 0x70 && c != 0x6f {
		r.failf("unknown reference type %#x", c)
	}
	return c
}

func (m *module) scanTypes(r *reader) {
	for range r.count("types", 3, maxTypes) {
		if form := r.byte(); r.err == nil && form != 0x60 {
			r.failf("type form %#x, want a function", form)
		}
		var words []string
		for range r.count("parameters", 1, maxParams) {
			words = append(words, r.valueType())
		}
		words = append(words, "->")
		for range r.count("results", 1, maxReturns) {
			words = append(words, r.valueType())
		}
		if r.err != nil {
			return
		}
		m.types = append(m.types, strings.Join(words, " "))
	}
}

// function appends a function of type t.
func (m *module) function(r *reader, t uint32) {
	if r.err == nil && int64(t) >= int64(len(m.types)) {
		r.failf("function type %d of %d", t, len(m.types))
	}
	m.functions = append(m.functions, t)
}

func (m *module) scanImports(r *reader) {
	for range r.count("imports", 4, maxImports) {
		from, name := r.name(), r.name()
		kind := r.byte()
		if r.err != nil {
			return
		}
		want, known := wasiFunctions[name]
		if from != wasiModule || !known || kind != 0 {
			r.failf("import %q of %q is not allowed: a metric may import nothing, or these functions of %s, which reach nothing: %s",
				name, from, wasiModule, strings.Join(allowedNames, " "))
			return
		}
		t := r.u32()
		m.function(r, t)
		if r.err == nil && m.types[t] != want.signature {
			r.failf("import %q has the signature (%s), want (%s)", name, m.types[t], want.signature)
		}
		if r.err != nil {
			return
		}
		m.imported++
		m.info.Imports = append(m.info.Imports, name)
	}
}

func (m *module) scanFunctions(r *reader) {
	for range r.count("functions", 1, maxFunctions) {
		m.function(r, r.u32())
		if r.err != nil {
			return
		}
	}
}

// limits are a minimum and a maximum, which is 2^32 - 1 where none is declared.
type limits struct{ low, high uint64 }

func (r *reader) limits(what string, most uint64) limits {
	flag := r.byte()
	if r.err == nil && flag > 1 {
		r.failf("%s limits %#x: shared and 64-bit ones are not allowed", what, flag)
	}
	l := limits{low: r.unsigned(32), high: 1<<32 - 1}
	if flag == 1 {
		l.high = r.unsigned(32)
		if r.err == nil && l.low > l.high {
			r.failf("%s minimum %d is above its maximum %d", what, l.low, l.high)
		}
	}
	if r.err == nil && l.low > most {
		r.failf("%s minimum %d, at most %d", what, l.low, most)
	}
	return l
}

func (m *module) scanTables(r *reader) {
	total := uint64(0)
	for range r.count("tables", 3, maxTables) {
		t := tableType{element: r.refType(), limits: r.limits("table", maxTableElements)}
		total += t.low
		m.tables = append(m.tables, t)
	}
	if r.err == nil && total > maxTableElements {
		r.failf("tables of %d elements together, at most %d", total, maxTableElements)
	}
	m.info.TableBytes = int64(total) * elementBytes
}

func (m *module) scanMemories(r *reader) {
	for range r.count("memories", 2, 1) {
		m.info.MemoryBytes = int64(r.limits("memory", maxPages).low) * pageBytes
		m.memories++
	}
}

func (m *module) scanGlobals(r *reader) {
	for range r.count("globals", 4, maxGlobals) {
		r.valueType()
		if mut := r.byte(); r.err == nil && mut > 1 {
			r.failf("global mutability %#x", mut)
		}
		r.constant()
		if r.err != nil {
			return
		}
		m.globals++
	}
}

func (m *module) scanExports(r *reader) {
	for range r.count("exports", 3, maxExports) {
		name := r.name()
		e := export{kind: r.byte(), index: r.u32()}
		if r.err != nil {
			return
		}
		if _, twice := m.exports[name]; twice {
			r.failf("export %q is there twice", name)
			return
		}
		spaces := map[byte]int{0: len(m.functions), 1: len(m.tables), 2: m.memories, 3: m.globals}
		if size, known := spaces[e.kind]; !known || int64(e.index) >= int64(size) {
			r.failf("export %q: kind %d, index %d does not exist", name, e.kind, e.index)
			return
		}
		m.exports[name] = e
	}
}

func (m *module) scanStart(r *reader) {
	i := r.u32()
	if r.err != nil {
		return
	}
	if int64(i) >= int64(len(m.functions)) || m.types[m.functions[i]] != "->" {
		r.failf("start function %d does not exist or takes or returns something", i)
		return
	}
	m.info.Start, m.start = true, i
}

func (m *module) scanElements(r *reader) {
	for range r.count("element segments", 2, maxSegments) {
		flags := r.u32()
		if r.err == nil && flags > 7 {
			r.failf("element segment flags %#x", flags)
		}
		active, explicit, expressions := flags&1 == 0, flags&2 != 0, flags&4 != 0
		if active {
			if explicit {
				r.u32()
			}
			r.constant()
		}
		if flags&3 != 0 {
			if expressions {
				r.refType()
			} else if kind := r.byte(); r.err == nil && kind != 0 {
				r.failf("element kind %#x", kind)
			}
		}
		n := r.count("elements", 1, maxElements)
		if m.elements += uint64(n); m.elements > maxElements {
			r.failf("more than %d elements in all", maxElements)
		}
		for range n {
			if expressions {
				r.constant()
			} else {
				r.u32()
			}
			if r.err != nil {
				return
			}
		}
		if r.err != nil {
			return
		}
	}
}

func (m *module) scanDataCount(r *reader) { m.dataCount = int(r.u32()) }

func (m *module) scanData(r *reader) {
	for range r.count("data segments", 2, maxSegments) {
		flags := r.u32()
		if r.err == nil && flags > 2 {
			r.failf("data segment flags %#x", flags)
		}
		if flags == 2 {
			r.u32()
		}
		if flags != 1 {
			r.constant()
		}
		r.bytes(r.count("bytes of data", 1, maxModuleBytes))
		if r.err != nil {
			return
		}
		m.segments++
	}
}

func (m *module) scanCode(r *reader) {
	for range r.count("function bodies", 2, maxFunctions) {
		body := r.sub(r.count("bytes of a function body", 1, maxBodyBytes))
		m.scanBody(body)
		m.growsTables = m.growsTables || body.growsTable
		if r.err == nil {
			r.err = body.err
		}
		if r.err != nil {
			return
		}
		m.bodies++
	}
}

// scanCustom bounds the name section, the only custom one that is decoded.
func scanCustom(r *reader) {
	if r.name() != "name" || r.err != nil {
		r.pos = len(r.b)
		return
	}
	for r.left() > 0 && r.err == nil {
		id := r.byte()
		s := r.sub(r.count("bytes of names", 1, maxModuleBytes))
		switch {
		case s.err != nil:
		case id == 0:
			s.name()
		case id == 1:
			s.nameMap()
		case id == 2:
			for range s.count("functions with local names", 2, maxFunctions) {
				if s.u32(); s.err != nil {
					break
				}
				s.nameMap()
			}
		default:
			continue // skipped by the decoder, as here
		}
		if s.err == nil && s.left() > 0 {
			s.failf("%d bytes follow the names", s.left())
		}
		if r.err == nil {
			r.err = s.err
		}
	}
}

func (r *reader) nameMap() {
	for range r.count("names", 2, maxAllLocals) {
		r.u32()
		if r.name(); r.err != nil {
			return
		}
	}
}
