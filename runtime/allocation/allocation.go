// Package allocation measures what reading hostile input costs, for the tests of the parsers: a file
// must not make its reader allocate far beyond the file's own size.
package allocation

import "runtime/metrics"

const total = "/gc/heap/allocs:bytes"

// Bytes is how many bytes the whole process allocated on the heap while f ran, freed or not. Other
// goroutines count too, so a test compares it with a bound and not with a figure.
func Bytes(f func()) uint64 {
	s := []metrics.Sample{{Name: total}}
	metrics.Read(s)
	before := s[0].Value.Uint64()
	f()
	metrics.Read(s)
	return s[0].Value.Uint64() - before
}

// Bound is the most that reading n bytes may allocate: JSON of short values takes tens of bytes of
// memory for each of its own, and tables have a size to begin with.
func Bound(n int) uint64 { return 16<<20 + 256*uint64(n) }
