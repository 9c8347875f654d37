package dataset

import (
	"runtime/debug"
	"sync"
)

// Large rows are converted with a collector that runs early: twice the live data, which is its habit, would be most of
// the memory that a conversion takes.
const (
	largeRows = 32 << 20 // bytes of the files
	gcPercent = 12
)

var thrift struct {
	sync.Mutex
	users  int
	before int
}

// thrifty makes the collector run early until done is called, where the rows are large.
func thrifty(bytes int64) (done func()) {
	if bytes < largeRows {
		return func() {}
	}
	thrift.Lock()
	defer thrift.Unlock()
	if thrift.users++; thrift.users == 1 {
		thrift.before = debug.SetGCPercent(gcPercent)
		if thrift.before >= 0 && thrift.before < gcPercent {
			debug.SetGCPercent(thrift.before)
		}
	}
	return func() {
		thrift.Lock()
		defer thrift.Unlock()
		if thrift.users--; thrift.users == 0 {
			debug.SetGCPercent(thrift.before)
		}
	}
}
