// Package cuda is a device.Device on an NVIDIA card: float32, bfloat16 or half precision in memory,
// int8 weights and optimizer states, sums in float32, matrix products through cuBLASLt, everything
// else through kernels in CUDA C++ (folder kernels) that are compiled to PTX beforehand and embedded. There is no cgo: the driver and cuBLASLt are opened at run time.
//
// Every reduction has a fixed order, so the same inputs on the same card with the same libraries
// give the same bytes. Work is launched on one stream; an operation returns before it is done.
//
// The PTX is made by `go generate ./runtime/device/cuda`, which needs clang-19 and no CUDA toolkit.
package cuda

//go:generate go test . -run ^TestThePTXIsWhatTheSourcesGive$ -update

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"triality/runtime/device"
)

// Options chooses the card and how it works; the zero value is the first card, all of its memory,
// exact float32. MemoryLimit does not count what the driver and cuBLASLt take for themselves, some
// hundred MiB.
type Options struct {
	Ordinal     int   // card, as CUDA_VISIBLE_DEVICES counts them
	MemoryLimit int64 // most bytes of buffers and scratch; 0 = all the card has
	TF32        bool  // round float32 operands of matrix products to 10 bits of mantissa
}

// Errors that Open wraps, with where it looked and what to do.
var (
	ErrNoDriver  = errors.New("no NVIDIA driver")
	ErrNoDevice  = errors.New("no such CUDA device")
	ErrNoBLAS    = errors.New("no cuBLASLt")
	ErrOldDevice = errors.New("CUDA device is too old")
)

// floor is the oldest compute capability that the PTX runs on: Ampere.
const floor = 80

// Device is one card. Its methods may be called from several goroutines; calls run one after another.
type Device struct {
	mu           sync.Mutex
	err          error // first error since the last Sync
	driver       *driver
	blas         *blas
	context      uintptr
	ordinal      int32 // the driver's handle of the card
	stream       uintptr
	modules      []uintptr
	kernels      map[string]uintptr       // those that are compiled
	files        map[string][]*kernelFile // where the others are
	pool         *pool
	staging      staging
	locked       locked
	kept         keptTables
	info         device.Info
	shared       int             // bytes of shared memory that a block may ask for
	procs        int             // multiprocessors
	capability   int             // 90 for 9.0
	logits       int             // most logits held at once
	narrowLogits int             // the same where their gradients are narrow
	activations  int8Activations // of the int8 product before, where the next has the same
	fp8          fp8Activations  // the same of fp8 products
	int8Scratch  int             // bytes of sums or weights of int8 products held at once
	maps         uint64          // the dynamic maps of 8-bit states, once they are needed
	slots        [32]uint64
	params       [32]uintptr
	closed       bool
}

var (
	_ device.Device          = (*Device)(nil)
	_ device.MemoryUser      = (*Device)(nil)
	_ device.ProductSum      = (*Device)(nil)
	_ device.AdaptedSwiGLU   = (*Device)(nil)
	_ device.NormGradSum     = (*Device)(nil)
	_ device.AttentionKeeper = (*Device)(nil)
	_ device.LossAndGrad     = (*Device)(nil)
	_ device.HostMemory      = (*Device)(nil)
	_ device.Int8Sharer      = (*Device)(nil)
	_ device.FP8Sharer       = (*Device)(nil)
)

// Open readies a card. What is missing (ErrNoDriver, ErrNoDevice, ErrNoBLAS), too old (ErrOldDevice)
// or too small (device.ErrOutOfMemory) is said with what to do about it.
func Open(o Options) (device.Device, error) {
	if o.MemoryLimit < 0 {
		return nil, fmt.Errorf("cuda: memory limit of %d bytes is negative", o.MemoryLimit)
	}
	drv, err := openDriver()
	if err != nil {
		return nil, err
	}
	d := &Device{driver: drv, kernels: map[string]uintptr{}, locked: locked{}}
	if err := d.open(o); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Device) open(o Options) error {
	if err := d.find(o.Ordinal); err != nil {
		return err
	}
	if err := d.driver.contextRetain(&d.context, d.ordinal); err != nil {
		return fmt.Errorf("cuda: device %d (%s): %w", o.Ordinal, d.info.Model, err)
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	if err := d.driver.streamCreate(&d.stream); err != nil {
		return fmt.Errorf("cuda: stream: %w", err)
	}
	limit := d.info.Memory
	if o.MemoryLimit > 0 {
		limit = min(limit, o.MemoryLimit)
	}
	d.pool = newPool(d.driver, limit)
	d.logits = int(min(logitElements, max(1, limit/logitShare/4)))
	d.int8Scratch = int8Scratch(limit)
	d.narrowLogits = int(min(narrowLogitElements, max(1, limit/logitShare/6)))
	if err := d.findKernels(); err != nil {
		return err
	}
	if err := d.staging.open(d.driver); err != nil {
		return err
	}
	d.blas, err = openBLAS(d, o.TF32)
	return err
}

// find checks that the card exists and is new enough.
func (d *Device) find(ordinal int) error {
	var count int32
	if err := d.driver.deviceCount(&count); err != nil {
		return fmt.Errorf("cuda: counting devices: %w", err)
	}
	if ordinal < 0 || ordinal >= int(count) {
		return fmt.Errorf("cuda: device %d of %d: %w; choose one below %d, or check CUDA_VISIBLE_DEVICES", ordinal, count, ErrNoDevice, count)
	}
	if err := d.driver.deviceGet(&d.ordinal, int32(ordinal)); err != nil {
		return fmt.Errorf("cuda: device %d: %w", ordinal, err)
	}
	name, err := d.driver.deviceName(d.ordinal)
	if err != nil {
		return fmt.Errorf("cuda: device %d: %w", ordinal, err)
	}
	var values [4]int32
	for i, attribute := range []int32{attributeMajor, attributeMinor, attributeShared, attributeProcessors} {
		if err := d.driver.deviceAttribute(&values[i], attribute, d.ordinal); err != nil {
			return fmt.Errorf("cuda: device %d (%s): %w", ordinal, name, err)
		}
	}
	memory, err := d.driver.deviceMemory(d.ordinal)
	if err != nil {
		return fmt.Errorf("cuda: device %d (%s): %w", ordinal, name, err)
	}
	d.capability = int(values[0]*10 + values[1])
	d.shared, d.procs = int(values[2]), int(values[3])
	d.info = device.Info{Name: "cuda", Model: name, SIMD: fmt.Sprintf("sm_%d", d.capability), Memory: memory}
	return checkCapability(ordinal, name, d.capability)
}

func checkCapability(ordinal int, name string, capability int) error {
	if capability < floor {
		return fmt.Errorf("cuda: device %d (%s) has compute capability %d.%d and %d.%d is needed (Ampere or newer): %w; choose another device or run on the cpu",
			ordinal, name, capability/10, capability%10, floor/10, floor%10, ErrOldDevice)
	}
	return nil
}

// enter makes the card's context the thread's own until leave is called: a goroutine moves between
// threads, a context does not.
func (d *Device) enter() (leave func(), err error) {
	runtime.LockOSThread()
	if err := d.driver.contextSet(d.context); err != nil {
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("cuda: context: %w", err)
	}
	return runtime.UnlockOSThread, nil
}

// Info describes the card.
func (d *Device) Info() device.Info { return d.info }

// MemoryInUse is the memory of buffers, scratch and what is kept for the next of either; the driver and
// cuBLASLt take some hundred MiB beside it.
func (d *Device) MemoryInUse() (now, peak int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pool.used + d.pool.idle, d.pool.peak
}

// Sync waits for all work and returns the first error since the last Sync.
func (d *Device) Sync() error {
	c := d.begin("sync")
	defer c.end()
	if !c.failed {
		_ = c.wait() // kept in d.err
	}
	err := d.err
	d.err = nil
	return err
}

// Close waits for all work and gives everything back to the card.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.context == 0 {
		d.closed = true
		return nil
	}
	leave, err := d.enter()
	if err != nil {
		return err
	}
	defer leave()
	d.closed = true
	var errs []error
	if d.stream != 0 {
		errs = append(errs, d.driver.streamSync(d.stream))
	}
	if d.blas != nil {
		d.blas.close()
	}
	if d.pool != nil {
		errs = append(errs, d.pool.close())
	}
	d.staging.close(d.driver)
	d.locked.close(d.driver)
	for _, m := range d.modules {
		errs = append(errs, d.driver.moduleUnload(m))
	}
	if d.stream != 0 {
		errs = append(errs, d.driver.streamDestroy(d.stream))
	}
	errs = append(errs, d.driver.contextRelease(d.ordinal))
	d.context = 0
	return errors.Join(errs...)
}
