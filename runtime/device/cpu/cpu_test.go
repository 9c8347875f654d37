package cpu_test

import (
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/compliance"
	"triality/runtime/device/cpu"
)

// levels are the kernel sets of this machine.
func levels(t *testing.T) map[string]cpu.SIMD {
	t.Helper()
	sets := map[string]cpu.SIMD{}
	for _, level := range []cpu.SIMD{cpu.Portable, cpu.AVX2, cpu.AVX512} {
		dev := cpu.New(cpu.Options{Threads: 1, SIMD: level})
		sets[dev.Info().SIMD] = level // a level the machine lacks gives one it has
		if err := dev.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return sets
}

func TestEveryKernelSetComplies(t *testing.T) {
	for name, level := range levels(t) {
		t.Run(name, func(t *testing.T) {
			compliance.Run(t, func() device.Device { return cpu.New(cpu.Options{SIMD: level}) }, 5e-6)
		})
	}
}

func TestThreadsDoNotChangeABit(t *testing.T) {
	for name, level := range levels(t) {
		t.Run(name, func(t *testing.T) {
			var open []func() device.Device
			for _, threads := range []int{1, 2, 7} {
				open = append(open, func() device.Device { return cpu.New(cpu.Options{Threads: threads, SIMD: level}) })
			}
			compliance.SameBytes(t, open...)
		})
	}
}
