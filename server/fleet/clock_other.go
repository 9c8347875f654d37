//go:build !linux

package fleet

func ownClock() clock { return sinceStart() }
