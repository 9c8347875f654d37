//go:build unix && !linux

package sandbox

// advise does nothing here.
func advise([]byte) {}
