//go:build !linux

package worker

func offerMemory() {}

func memoryOf(int) (int64, bool) { return 0, false }

func machineMemory() int64 { return 0 }
