package cuda

import (
	"bytes"
	"embed"
	"fmt"
	"unsafe"
)

// The kernels as PTX, made by go generate from the sources beside them.
//
//go:embed kernels/*.ptx
var ptx embed.FS

// loadKernels compiles the PTX for the card, which the driver remembers on disk, and finds each entry.
func (d *Device) loadKernels() error {
	for i := range d.params {
		d.params[i] = uintptr(unsafe.Pointer(&d.slots[i])) // the device never moves
	}
	files, err := ptx.ReadDir("kernels")
	if err != nil {
		return fmt.Errorf("cuda: kernels: %w", err)
	}
	for _, file := range files { // sorted: a kernel for newer cards comes after that for all
		newer, ok := newerCard(file.Name())
		if ok && d.capability < newer {
			continue
		}
		text, err := ptx.ReadFile("kernels/" + file.Name())
		if err != nil {
			return fmt.Errorf("cuda: kernels: %w", err)
		}
		var module uintptr
		if err := d.driver.moduleLoad(&module, append(text, 0)); err != nil {
			if ok {
				continue // the driver is older than the instruction; the kernel for all cards gives the same
			}
			return fmt.Errorf("cuda: %s does not load on %s: %w; a newer driver may help", file.Name(), d.info.Model, err)
		}
		d.modules = append(d.modules, module)
		for _, name := range entries(text) {
			var function uintptr
			if err := d.driver.moduleFunction(&function, module, name); err != nil {
				return fmt.Errorf("cuda: kernel %s of %s: %w", name, file.Name(), err)
			}
			d.kernels[name] = function
		}
	}
	for kernel, bytes := range attentionKernels(d.shared) {
		if err := d.driver.functionShared(d.kernels[kernel], bytes); err != nil {
			return fmt.Errorf("cuda: kernel %s with %d bytes of shared memory: %w", kernel, bytes, err)
		}
	}
	return nil
}

// newerCard is the compute capability that PTX needs whose kernels replace those for all cards.
func newerCard(file string) (capability int, ok bool) {
	_, err := fmt.Sscanf(file, "sm_%d_", &capability)
	return capability, err == nil
}

// entries are the names of the kernels in PTX.
func entries(text []byte) (names []string) {
	mark := []byte(".visible .entry ")
	for {
		at := bytes.Index(text, mark)
		if at < 0 {
			return names
		}
		text = text[at+len(mark):]
		names = append(names, string(text[:bytes.IndexByte(text, '(')]))
	}
}
