// Package metricabi is the Go side of triality_metric_v1, the binary interface
// between Triality and a metric module: the table a metric reads, the results
// it hands back, and the JSON description by which it introduces itself.
//
// The byte layout, with a worked example, is written down in
// wasm-metrics/ABI.md. Everything decoded here comes from untrusted code, so
// every offset, length and count is checked before it is used.
package metricabi

// Version is the number in the header of every table and result block.
const Version = 1

// Version11 is what a description's field abi says of a module that knows version 1.1: the blocks are those
// of version 1, with roles, arms, dtypes and kinds of results that a module which does not say so never
// meets.
const Version11 = "1.1"

// Marker is the export by which a module says which interface it speaks.
const Marker = "triality_metric_v1"

// Names of the exports a module has.
const (
	ExportMemory     = "memory"
	ExportAlloc      = "metric_alloc"
	ExportDescribe   = "metric_describe"
	ExportEval       = "metric_eval"
	ExportInitialize = "_initialize"
)

// Sizes and magics of the two blocks, in bytes.
const (
	headerSize  = 16
	recordSize  = 32
	alignment   = 16
	tableMagic  = 0x31544D54 // "TMT1", little-endian
	resultMagic = 0x31524D54 // "TMR1", little-endian
)

// Bounds that hold for every table, whatever the host allows besides.
const (
	MaxColumns    = 4096
	MaxNameBytes  = 128
	MaxTableBytes = 1 << 31
	MaxGroups     = 4096 // of one result
)

// Align is the alignment, in bytes, of every buffer in a table and of the
// address metric_alloc returns.
const Align = alignment
