package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Bounds of a module. They are far above what compilers emit and low enough
// that decoding and compiling what passes stays within the worker's limits.
const (
	maxModuleBytes   = 32 << 20
	maxModuleName    = 100_000 // bytes of an import, export or debug name
	maxTypes         = 100_000
	maxParams        = 255
	maxReturns       = 64
	maxImports       = 256 // libraries import a function of WASI more than once
	maxFunctions     = 200_000
	maxTables        = 16
	maxTableElements = 1_000_000 // minimum sizes, all tables together
	maxGlobals       = 100_000
	maxExports       = 10_000
	maxSegments      = 100_000
	maxElements      = 1_000_000 // all element segments together
	maxLocals        = 20_000    // of one function, parameters aside
	maxAllLocals     = 2_000_000
	maxBodyBytes     = 7_654_321 // what browsers allow
	maxNesting       = 20_000    // blocks within blocks
	maxBranchTable   = 65_520
	pageBytes        = 65536
	maxPages         = 65536
)

// ModuleInfo is what preflight learned about a module that passed.
type ModuleInfo struct {
	SHA256      string   `json:"sha256"` // of the module's bytes, hexadecimal: its identity
	Size        int      `json:"size"`   // bytes
	Imports     []string `json:"imports"`
	Functions   int      `json:"functions"`    // defined in the module
	MemoryBytes int64    `json:"memory_bytes"` // initial size of its memory
	TableBytes  int64    `json:"table_bytes"`  // of its tables
	Initialize  bool     `json:"initialize"`   // it exports _initialize
	Start       bool     `json:"start"`        // it has a start function
}

// Preflight reads the whole module without running or compiling it, in time
// and memory proportional to its size, and refuses what the package comment
// says. The error is an *Error with code ErrRejected that names the byte.
func Preflight(wasm []byte) (*ModuleInfo, error) {
	p := &module{}
	if err := p.scan(wasm); err != nil {
		return nil, &Error{Code: ErrRejected, Phase: "preflight", Err: err}
	}
	if err := p.checkInterface(); err != nil {
		return nil, &Error{Code: ErrRejected, Phase: "preflight", Err: err}
	}
	sum := sha256.Sum256(wasm)
	p.info.SHA256, p.info.Size = hex.EncodeToString(sum[:]), len(wasm)
	return &p.info, nil
}

// module collects what later sections and the interface check need.
type module struct {
	info      ModuleInfo
	types     []string // signatures, "i32 i32 -> i64"
	functions []uint32 // type of each function, imported ones first
	imported  int
	bodies    int
	tables    []tableType
	// growsTables: there is a table.grow.
	growsTables bool
	elements    uint64
	memories    int
	globals     int
	segments    int
	dataCount   int // -1: no such section
	locals      int
	exports     map[string]export
	start       uint32 // function, where info.Start
}

type export struct {
	kind  byte
	index uint32
}

// sectionOrder gives each section's place; sections come in this order, once.
var sectionOrder = map[byte]int{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 12: 10, 10: 11, 11: 12}

var sectionNames = map[byte]string{0: "custom", 1: "type", 2: "import", 3: "function", 4: "table", 5: "memory",
	6: "global", 7: "export", 8: "start", 9: "element", 10: "code", 11: "data", 12: "data count"}

func (m *module) scan(wasm []byte) error {
	if len(wasm) > maxModuleBytes {
		return fmt.Errorf("the module has %d bytes, at most %d", len(wasm), maxModuleBytes)
	}
	if !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")) {
		return fmt.Errorf("not a WebAssembly module: want the bytes 00 61 73 6d 01 00 00 00 first")
	}
	m.dataCount, m.exports = -1, map[string]export{}
	m.info.Imports = []string{}
	scanners := map[byte]func(*reader){0: scanCustom, 1: m.scanTypes, 2: m.scanImports, 3: m.scanFunctions,
		4: m.scanTables, 5: m.scanMemories, 6: m.scanGlobals, 7: m.scanExports, 8: m.scanStart,
		9: m.scanElements, 10: m.scanCode, 11: m.scanData, 12: m.scanDataCount}
	r := &reader{b: wasm, pos: 8}
	for last := 0; r.left() > 0; {
		id := r.byte()
		s := r.sub(r.count("bytes of a section", 1, maxModuleBytes))
		if r.err != nil {
			return r.err
		}
		scan := scanners[id]
		if scan == nil {
			return fmt.Errorf("at byte %d: section %d is not part of WebAssembly 2.0", s.base, id)
		}
		if id != 0 {
			if sectionOrder[id] <= last {
				return fmt.Errorf("at byte %d: the %s section is out of order or there twice", s.base, sectionNames[id])
			}
			last = sectionOrder[id]
		}
		scan(s)
		if s.err == nil && s.left() > 0 {
			s.failf("%d bytes follow its contents", s.left())
		}
		if s.err != nil {
			return fmt.Errorf("%s section: %w", sectionNames[id], s.err)
		}
	}
	if m.bodies != len(m.functions)-m.imported {
		return fmt.Errorf("%d functions are declared, %d have a body", len(m.functions)-m.imported, m.bodies)
	}
	if m.dataCount >= 0 && m.dataCount != m.segments {
		return fmt.Errorf("the data count section says %d segments, there are %d", m.dataCount, m.segments)
	}
	m.info.Functions = m.bodies
	return nil
}
