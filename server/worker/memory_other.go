//go:build !linux

package worker

func offerMemory() {}
