//go:build !linux

package enginebench

func loadAverage() float64 { return 0 }
