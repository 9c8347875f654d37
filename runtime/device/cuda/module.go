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
		card, some := cardsOf(file.Name())
		if !card.runs(d.capability) {
			continue
		}
		text, err := ptx.ReadFile("kernels/" + file.Name())
		if err != nil {
			return fmt.Errorf("cuda: kernels: %w", err)
		}
		var module uintptr
		if err := d.driver.moduleLoad(&module, append(text, 0)); err != nil {
			if some {
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
	wanted := attentionKernels(d.shared)
	for kernel, bytes := range warpgroupKernels() {
		if _, ok := d.kernels[kernel]; ok {
			wanted[kernel] = bytes
		}
	}
	for kernel, bytes := range wanted {
		if err := d.driver.functionShared(d.kernels[kernel], bytes); err != nil {
			return fmt.Errorf("cuda: kernel %s with %d bytes of shared memory: %w", kernel, bytes, err)
		}
	}
	return nil
}

// cards are those that a file of PTX is for: of a capability and newer ones, or of none but that.
type cards struct {
	capability int
	only       bool
}

func (c cards) runs(capability int) bool {
	return capability == c.capability || capability > c.capability && !c.only
}

// target is their name for a compiler.
func (c cards) target() string {
	if c.only {
		return fmt.Sprintf("sm_%da", c.capability)
	}
	return fmt.Sprintf("sm_%d", c.capability)
}

// cardsOf reads a file's name: sm_89_… is for capability 8.9 and newer cards, sm_90a_… for 9.0 alone, any other for
// all (some is false).
func cardsOf(file string) (c cards, some bool) {
	if _, err := fmt.Sscanf(file, "sm_%da_", &c.capability); err == nil {
		return cards{c.capability, true}, true
	}
	if _, err := fmt.Sscanf(file, "sm_%d_", &c.capability); err == nil {
		return c, true
	}
	return cards{floor, false}, false
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
