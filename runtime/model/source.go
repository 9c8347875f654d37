package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"triality/runtime/ordered"
	"triality/runtime/safetensors"
)

// Source gives a model's weights some rows at a time, so that they need not be in memory.
type Source interface {
	// Names lists the weights in the order of the computation.
	Names() []string
	// Shape gives a weight's shape.
	Shape(name string) ([]int, bool)
	// ReadAt fills dst with a weight's values, row-major, from element at on: whole rows. Several
	// goroutines may call it.
	ReadAt(name string, dst []float32, at int) error
}

// Part is some rows of a weight.
type Part struct {
	Name  string
	Shape []int // of the whole weight
	At, N int   // first element and their number
}

// Parts lists the parts of all weights, in order.
func Parts(s Source) ([]Part, error) {
	var list []Part
	for _, name := range s.Names() {
		shape, ok := s.Shape(name)
		if !ok {
			return nil, noWeight(name)
		}
		for at, n := range safetensors.Parts(shape) {
			list = append(list, Part{name, shape, at, n})
		}
	}
	return list, nil
}

// EachPart reads a source on all processors and gives use the parts in order, one at a time; values are
// use's until it returns.
func EachPart(s Source, use func(p Part, values []float32) error) error {
	parts, err := Parts(s)
	if err != nil {
		return err
	}
	return ordered.Run(len(parts), func(i int, room *[]float32) error {
		p := parts[i]
		*room = slices.Grow((*room)[:0], p.N)[:p.N]
		return s.ReadAt(p.Name, *room, p.At)
	}, func(i int, room *[]float32) error { return use(parts[i], *room) })
}

// Read reads one weight.
func Read(s Source, name string) (Param, error) {
	shape, ok := s.Shape(name)
	if !ok {
		return Param{}, noWeight(name)
	}
	x := Param{name, slices.Clone(shape), make([]float32, product(shape))}
	for at, n := range safetensors.Parts(shape) {
		if err := s.ReadAt(name, x.Data[at:at+n], at); err != nil {
			return Param{}, err
		}
	}
	return x, nil
}

// ReadAll reads a source into memory.
func ReadAll(s Source) (*Params, error) {
	p, err := NewParams()
	if err != nil {
		return nil, err
	}
	for _, name := range s.Names() {
		shape, ok := s.Shape(name)
		if !ok {
			return nil, noWeight(name)
		}
		if err := p.Set(Param{name, slices.Clone(shape), make([]float32, product(shape))}); err != nil {
			return nil, err
		}
	}
	parts, err := Parts(s)
	if err != nil {
		return nil, err
	}
	type none struct{}
	return p, ordered.Run(len(parts), func(i int, _ *none) error {
		x := parts[i]
		return s.ReadAt(x.Name, p.byName[x.Name].Data[x.At:x.At+x.N], x.At)
	}, func(int, *none) error { return nil })
}

func noWeight(name string) error { return fmt.Errorf("weight %s: there is none", name) }

// Elements is the number of all weights' elements.
func Elements(s Source) int {
	total := 0
	for _, n := range s.Names() {
		shape, _ := s.Shape(n)
		total += product(shape)
	}
	return total
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Save writes weights to dir, which is there already, as F32, F16 or BF16: one file, or shards
// where they take more than Hugging Face's tools put into one. A value that is infinite or no number is an
// error. A few parts at a time are in memory.
func Save(dir string, s Source, dtype safetensors.DType) error {
	var list []safetensors.Tensor
	for _, n := range s.Names() {
		shape, _ := s.Shape(n)
		list = append(list, safetensors.Tensor{Name: n, DType: dtype, Shape: shape, Read: func(dst []float32, at int) error {
			if err := s.ReadAt(n, dst, at); err != nil {
				return err
			}
			if i := notFinite(dst); i >= 0 {
				return fmt.Errorf("%s%v is %g", n, Place(at+i, shape), dst[i])
			}
			return nil
		}})
	}
	if err := safetensors.WriteModel(dir, list, map[string]string{"format": "pt"}, safetensors.MaxShard); err != nil {
		return fmt.Errorf("save model weights: %w", err)
	}
	return nil
}

// Folder is the weights of a model folder, read when they are asked for.
type Folder struct {
	files  *safetensors.Model
	stored func(name string) string // what the files call a weight
	specs  []Spec
}

// OpenFolder opens the weights of a model folder. Every weight the configuration implies, and every one of
// extra, must be there with its shape, and no other but those that Config.Unused explains; the error names
// what is missing, unexpected or of another shape.
func OpenFolder(dir string, cfg Config, extra ...Spec) (*Folder, error) {
	m, err := safetensors.OpenModel(dir)
	if errors.Is(err, safetensors.ErrNoModel) {
		return nil, fmt.Errorf("model folder %s has no weights: it needs model.safetensors, or shards with model.safetensors.index.json (convert .bin files with transformers' save_pretrained): %w", dir, err)
	}
	if err != nil {
		return nil, err // names the file
	}
	f := &Folder{files: m, stored: StoredNames(cfg, m), specs: append(cfg.Specs(), extra...)}
	if problems := f.misfits(cfg); len(problems) > 0 {
		more := ""
		if len(problems) > 8 {
			more = fmt.Sprintf(", and %d more", len(problems)-8)
			problems = problems[:8]
		}
		return nil, errors.Join(fmt.Errorf("model weights in %s do not fit its config.json (%s): %s%s", dir, cfg.ModelType, strings.Join(problems, "; "), more), m.Close())
	}
	return f, nil
}

// misfits compares what the files hold with what the configuration implies.
func (f *Folder) misfits(cfg Config) []string {
	want := make(map[string]bool, len(f.specs))
	var problems []string
	for _, s := range f.specs {
		name := f.stored(s.Name)
		want[name] = true
		info, ok := f.files.Info(name)
		switch {
		case !ok:
			problems = append(problems, fmt.Sprintf("%s %v is missing", name, s.Shape))
		case !slices.Equal(info.Shape, s.Shape):
			problems = append(problems, fmt.Sprintf("%s is %v, config.json makes it %v", name, info.Shape, s.Shape))
		}
	}
	for _, n := range f.files.Names() {
		if _, explained := cfg.Unused(n); !want[n] && !explained {
			problems = append(problems, n+" is unexpected")
		}
	}
	return problems
}

// Names lists the weights in the order of the computation.
func (f *Folder) Names() []string { return specNames(f.specs) }

// Shape gives a weight's shape.
func (f *Folder) Shape(name string) ([]int, bool) { return specShape(f.specs, name) }

// ReadAt reads a part of a weight as float32. A value that is infinite or no number is an error.
func (f *Folder) ReadAt(name string, dst []float32, at int) error {
	if err := f.files.ReadFloat32At(f.stored(name), dst, at); err != nil {
		return fmt.Errorf("model weights: %w", err)
	}
	if i := notFinite(dst); i >= 0 {
		shape, _ := f.Shape(name)
		return fmt.Errorf("model weights: %s%v is %g: the model was damaged or diverged in training, and computes nothing", f.stored(name), Place(at+i, shape), dst[i])
	}
	return nil
}

// notFinite is the index of the first value that is infinite or no number; -1 is none.
func notFinite(values []float32) int {
	for i, x := range values {
		if x-x != 0 {
			return i
		}
	}
	return -1
}

// Place turns the index of an element into one for each dimension.
func Place(at int, shape []int) []int {
	p := make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		p[i] = at % shape[i]
		at /= shape[i]
	}
	return p
}

// DType is the type that the folder's embedding, and with it as a rule every matrix, is stored in.
func (f *Folder) DType() safetensors.DType {
	info, _ := f.files.Info(f.stored(embedName))
	return info.DType
}

// Close closes the files.
func (f *Folder) Close() error { return f.files.Close() }

func specNames(specs []Spec) []string {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	return names
}

func specShape(specs []Spec, name string) ([]int, bool) {
	i := slices.IndexFunc(specs, func(s Spec) bool { return s.Name == name })
	if i < 0 {
		return nil, false
	}
	return specs[i].Shape, true
}

// Outline is the shapes of weights without their values: a Source for what looks at shapes alone.
type Outline []Spec

// Names lists the weights.
func (o Outline) Names() []string { return specNames(o) }

// Shape gives a weight's shape.
func (o Outline) Shape(name string) ([]int, bool) { return specShape(o, name) }

// ReadAt refuses.
func (o Outline) ReadAt(name string, _ []float32, _ int) error {
	return fmt.Errorf("weight %s: its shape is known, not its values", name)
}
