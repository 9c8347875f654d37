package cuda

import (
	"errors"
	"fmt"
	"unsafe"

	"triality/runtime/device"
)

// driver is the part of CUDA's driver interface that the device uses.
type driver struct {
	init, errorName, errorString                       uintptr
	count, get, name, attribute, memory, info          uintptr
	retain, release, setContext                        uintptr
	alloc, free, allocHost, freeHost                   uintptr
	toDevice, toHost, within, set8                     uintptr
	newStream, dropStream, waitStream                  uintptr
	loadModule, dropModule, function, setFunc, launchK uintptr

	// Where the compiler of PTX writes; kept here because C holds the addresses.
	log       [8192]byte
	logValues [2]uintptr
}

// Numbers from cuda.h.
const (
	attributeProcessors = 16
	attributeMajor      = 75
	attributeMinor      = 76
	attributeShared     = 97 // bytes of shared memory that a block may ask for

	functionShared = 8 // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES

	jitErrorLog     = 5
	jitErrorLogSize = 6

	streamNonBlocking = 1

	resultOutOfMemory = 2
	resultNoDevice    = 100
)

// result is a CUresult other than success.
type result struct {
	code       uint32
	name, text string
}

func (r *result) Error() string { return fmt.Sprintf("%s (%d): %s", r.name, r.code, r.text) }

// Unwrap makes the driver's two best-known failures recognisable.
func (r *result) Unwrap() error {
	switch r.code {
	case resultOutOfMemory:
		return device.ErrOutOfMemory
	case resultNoDevice:
		return ErrNoDevice
	}
	return nil
}

func openDriver() (*driver, error) {
	d := &driver{}
	err := openAny(driverNames, func(l library) error {
		return l.resolve(map[string]*uintptr{
			"cuInit": &d.init, "cuGetErrorName": &d.errorName, "cuGetErrorString": &d.errorString,
			"cuDeviceGetCount": &d.count, "cuDeviceGet": &d.get, "cuDeviceGetName": &d.name,
			"cuDeviceGetAttribute": &d.attribute, "cuDeviceTotalMem_v2": &d.memory, "cuMemGetInfo_v2": &d.info,
			"cuDevicePrimaryCtxRetain": &d.retain, "cuDevicePrimaryCtxRelease_v2": &d.release, "cuCtxSetCurrent": &d.setContext,
			"cuMemAlloc_v2": &d.alloc, "cuMemFree_v2": &d.free, "cuMemAllocHost_v2": &d.allocHost, "cuMemFreeHost": &d.freeHost,
			"cuMemcpyHtoDAsync_v2": &d.toDevice, "cuMemcpyDtoHAsync_v2": &d.toHost, "cuMemcpyDtoDAsync_v2": &d.within,
			"cuMemsetD8Async": &d.set8,
			"cuStreamCreate":  &d.newStream, "cuStreamDestroy_v2": &d.dropStream, "cuStreamSynchronize": &d.waitStream,
			"cuModuleLoadDataEx": &d.loadModule, "cuModuleUnload": &d.dropModule, "cuModuleGetFunction": &d.function,
			"cuFuncSetAttribute": &d.setFunc, "cuLaunchKernel": &d.launchK,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cuda: %w: %s; install NVIDIA's driver, or run on the cpu", ErrNoDriver, oneLine(err))
	}
	if err := d.call(d.init, 0); errors.Is(err, ErrNoDevice) {
		return nil, fmt.Errorf("cuda: the driver sees no card: %w; check nvidia-smi and CUDA_VISIBLE_DEVICES, or run on the cpu", err)
	} else if err != nil {
		return nil, fmt.Errorf("cuda: %w that starts: %w; check with nvidia-smi, or run on the cpu", ErrNoDriver, err)
	}
	return d, nil
}

//go:uintptrescapes
func (d *driver) call(function uintptr, args ...uintptr) error {
	if code := uint32(callC(function, args...)); code != 0 {
		return d.describe(code)
	}
	return nil
}

func (d *driver) describe(code uint32) error {
	text := func(function uintptr) string {
		var s *byte
		if uint32(callC(function, uintptr(code), uintptr(unsafe.Pointer(&s)))) != 0 || s == nil {
			return "unknown"
		}
		return cString(unsafe.Slice(s, 4096))
	}
	return &result{code, text(d.errorName), text(d.errorString)}
}

// cString is the text up to the first zero byte.
func cString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

func (d *driver) deviceCount(n *int32) error { return d.call(d.count, uintptr(unsafe.Pointer(n))) }

func (d *driver) deviceGet(handle *int32, ordinal int32) error {
	return d.call(d.get, uintptr(unsafe.Pointer(handle)), uintptr(ordinal))
}

func (d *driver) deviceName(handle int32) (string, error) {
	b := make([]byte, 256)
	err := d.call(d.name, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(handle))
	return cString(b), err
}

func (d *driver) deviceAttribute(value *int32, attribute, handle int32) error {
	return d.call(d.attribute, uintptr(unsafe.Pointer(value)), uintptr(attribute), uintptr(handle))
}

func (d *driver) deviceMemory(handle int32) (int64, error) {
	var n uint64
	err := d.call(d.memory, uintptr(unsafe.Pointer(&n)), uintptr(handle))
	return int64(n), err
}

func (d *driver) contextRetain(context *uintptr, handle int32) error {
	return d.call(d.retain, uintptr(unsafe.Pointer(context)), uintptr(handle))
}

func (d *driver) contextRelease(handle int32) error { return d.call(d.release, uintptr(handle)) }

func (d *driver) contextSet(context uintptr) error { return d.call(d.setContext, context) }

// take and give are the pool's source of memory.
func (d *driver) take(bytes int64) (uint64, error) {
	var p uint64
	err := d.call(d.alloc, uintptr(unsafe.Pointer(&p)), uintptr(bytes))
	return p, err
}

func (d *driver) give(p uint64) error { return d.call(d.free, uintptr(p)) }

func (d *driver) hostAlloc(p *unsafe.Pointer, bytes int) error {
	return d.call(d.allocHost, uintptr(unsafe.Pointer(p)), uintptr(bytes))
}

func (d *driver) hostFree(p unsafe.Pointer) error { return d.call(d.freeHost, uintptr(p)) }

func (d *driver) copyIn(dst uint64, src unsafe.Pointer, bytes int, stream uintptr) error {
	return d.call(d.toDevice, uintptr(dst), uintptr(src), uintptr(bytes), stream)
}

func (d *driver) copyOut(dst unsafe.Pointer, src uint64, bytes int, stream uintptr) error {
	return d.call(d.toHost, uintptr(dst), uintptr(src), uintptr(bytes), stream)
}

func (d *driver) copyWithin(dst, src uint64, bytes int64, stream uintptr) error {
	return d.call(d.within, uintptr(dst), uintptr(src), uintptr(bytes), stream)
}

func (d *driver) clear(dst uint64, bytes int, stream uintptr) error {
	return d.call(d.set8, uintptr(dst), 0, uintptr(bytes), stream)
}

func (d *driver) streamCreate(stream *uintptr) error {
	return d.call(d.newStream, uintptr(unsafe.Pointer(stream)), streamNonBlocking)
}

func (d *driver) streamDestroy(stream uintptr) error { return d.call(d.dropStream, stream) }

func (d *driver) streamSync(stream uintptr) error { return d.call(d.waitStream, stream) }

// moduleLoad compiles PTX, which ends in a zero byte, for the card.
func (d *driver) moduleLoad(module *uintptr, ptx []byte) error {
	clear(d.log[:])
	options := [...]uint32{jitErrorLog, jitErrorLogSize}
	d.logValues = [...]uintptr{uintptr(unsafe.Pointer(&d.log[0])), uintptr(len(d.log))}
	err := d.call(d.loadModule, uintptr(unsafe.Pointer(module)), uintptr(unsafe.Pointer(&ptx[0])), uintptr(len(options)),
		uintptr(unsafe.Pointer(&options[0])), uintptr(unsafe.Pointer(&d.logValues[0])))
	if err != nil {
		return fmt.Errorf("%w: %s", err, cString(d.log[:]))
	}
	return nil
}

func (d *driver) moduleUnload(module uintptr) error { return d.call(d.dropModule, module) }

func (d *driver) moduleFunction(function *uintptr, module uintptr, name string) error {
	z := append([]byte(name), 0)
	return d.call(d.function, uintptr(unsafe.Pointer(function)), module, uintptr(unsafe.Pointer(&z[0])))
}

func (d *driver) functionShared(function uintptr, bytes int) error {
	return d.call(d.setFunc, function, functionShared, uintptr(bytes))
}

func (d *driver) launch(function uintptr, grid [2]int, block, shared int, stream uintptr, params *uintptr) error {
	return d.call(d.launchK, function, uintptr(grid[0]), uintptr(grid[1]), 1, uintptr(block), 1, 1, uintptr(shared), stream,
		uintptr(unsafe.Pointer(params)), 0)
}
