package cuda

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unsafe"

	"triality/runtime/device"
)

// The kernels as PTX, made by go generate from the sources beside them.
//
//go:embed kernels/*.ptx
var ptx embed.FS

// kernelFile is a file of PTX; its kernels are compiled when the first of them is wanted.
type kernelFile struct {
	name    string
	some    bool // for some cards only: other files have its kernels for all, or the device does without
	loaded  bool
	err     error
	kernels map[string]uintptr
}

// findKernels notes which file has each kernel for this card: of two the one for newer cards.
func (d *Device) findKernels() error {
	for i := range d.params {
		d.params[i] = uintptr(unsafe.Pointer(&d.slots[i])) // the device never moves
	}
	files, err := ptx.ReadDir("kernels")
	if err != nil {
		return fmt.Errorf("cuda: kernels: %w", err)
	}
	d.files = map[string][]*kernelFile{}
	for _, file := range files { // sorted: those for newer cards come after those for all
		card, some := cardsOf(file.Name())
		if !card.runs(d.capability) {
			continue
		}
		text, err := ptx.ReadFile("kernels/" + file.Name())
		if err != nil {
			return fmt.Errorf("cuda: kernels: %w", err)
		}
		f := &kernelFile{name: file.Name(), some: some}
		for _, name := range entries(text) {
			d.files[name] = append(d.files[name], f)
		}
	}
	return nil
}

// function finds a kernel: ok is false where this card has none of that name. What a job does not launch is never
// compiled. A file for some cards that does not load is passed over: the driver is older than its instructions, and
// the kernels for all cards give the same.
func (d *Device) function(kernel string) (function uintptr, ok bool, err error) {
	if function, ok := d.kernels[kernel]; ok {
		return function, true, nil
	}
	for _, f := range slices.Backward(d.files[kernel]) {
		if !f.loaded {
			f.loaded, f.err = true, d.load(f)
		}
		if f.err == nil {
			d.kernels[kernel] = f.kernels[kernel]
			return f.kernels[kernel], true, nil
		}
		if !f.some {
			return 0, false, f.err
		}
	}
	return 0, false, nil
}

// load compiles the PTX for the card, which the driver remembers on disk, and finds each entry.
func (d *Device) load(f *kernelFile) error {
	text, err := ptx.ReadFile("kernels/" + f.name)
	if err != nil {
		return fmt.Errorf("cuda: kernels: %w", err)
	}
	var module uintptr
	err = d.driver.moduleLoad(&module, append(text, 0))
	if errors.Is(err, device.ErrOutOfMemory) && d.pool.flush() == nil { // spans kept for the next buffers
		err = d.driver.moduleLoad(&module, append(text, 0))
	}
	if err != nil {
		return fmt.Errorf("%s does not load on %s: %w; a newer driver may help", f.name, d.info.Model, err)
	}
	d.modules, f.kernels = append(d.modules, module), map[string]uintptr{}
	shared := attentionKernels(d.shared)
	maps.Copy(shared, warpgroupKernels())
	maps.Copy(shared, adaptedKernels())
	for _, name := range entries(text) {
		var function uintptr
		if err := d.driver.moduleFunction(&function, module, name); err != nil {
			return fmt.Errorf("kernel %s of %s: %w", name, f.name, err)
		}
		if bytes, ok := shared[name]; ok && bytes <= d.shared { // else it is not launched
			if err := d.driver.functionShared(function, bytes); err != nil {
				return fmt.Errorf("kernel %s with %d bytes of shared memory: %w", name, bytes, err)
			}
		}
		f.kernels[name] = function
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
