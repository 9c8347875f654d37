// Package cpu is a device.Device on the processor: float32, all cores, with AVX2 and AVX-512
// kernels on amd64 and plain Go elsewhere.
//
// Work is split along dimensions that are not summed, or into blocks of fixed size whose partial
// sums are added in order, so the number of threads never changes a result. The kernel set does:
// AVX-512, AVX2 and portable results differ in the last bits.
package cpu

import (
	"runtime"
	"sync"

	"triality/runtime/device"
)

// SIMD is a ceiling on the instruction sets that a device uses. What the processor or the system
// lacks is never used; Info tells which set was taken.
type SIMD uint8

const (
	Best     SIMD = iota // no ceiling
	Portable             // plain Go
	AVX2                 // at most AVX2 with FMA
	AVX512               // at most AVX-512 F, BW, DQ, VL
)

// Options chooses how a device works; the zero value uses everything the machine has.
type Options struct {
	Threads int // worker threads; 0 = all cores
	SIMD    SIMD
}

// Device runs each operation to its end before the call returns. Its methods may be called from
// several goroutines; calls run one after another.
type Device struct {
	mu     sync.Mutex
	err    error // first error since the last Sync
	k      *kernels
	pool   *pool
	info   device.Info
	used   int64 // bytes allocated and not freed
	ws     []workspace
	angle  rotaryTable
	logits int // most logits held at once
}

var _ device.Device = (*Device)(nil)

// New returns a device with its worker threads waiting.
func New(o Options) *Device {
	threads := o.Threads
	if threads < 1 {
		threads = runtime.GOMAXPROCS(0)
	}
	k := &portable
	for _, set := range supported() {
		if o.SIMD == Best || set.level <= o.SIMD {
			k = set
			break
		}
	}
	return &Device{
		k:      k,
		pool:   newPool(threads),
		logits: logitElements,
		ws:     make([]workspace, threads+1),
		info:   device.Info{Name: "cpu", Model: processor(), Threads: threads, SIMD: k.name, Memory: physicalMemory()},
	}
}

// Info describes the device.
func (d *Device) Info() device.Info { return d.info }

// Sync returns the first error since the last Sync and forgets it.
func (d *Device) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.err
	d.err = nil
	return err
}

// Close ends the worker threads. Operations still work after it, on the caller's thread.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pool.close()
	return nil
}

// workspace is scratch memory that grows and stays, by purpose.
type workspace [10][]float32

// The purposes. An operation and the products it calls must not share one.
const (
	packA = iota
	packB
	packC
	tileC
	scores
	gradients
	statistics
	gathered
	dequantized
	requantized
)

func (w *workspace) floats(purpose, n int) []float32 {
	if cap(w[purpose]) < n {
		w[purpose] = aligned(n + n/8)
	}
	return w[purpose][:n]
}

// own is the scratch of the launching goroutine, which tasks of its operation may share.
func (d *Device) own() *workspace { return &d.ws[len(d.ws)-1] }
