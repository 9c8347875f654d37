package graph

import (
	"fmt"
	"strings"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

// WithStorage gives the storage type of float leaves, and of Dequantize's results, by a function; Float
// where it is not given. The results' types follow from it: see the conventions of package device.
func WithStorage(of func(leaf *G.Node) device.DType) Option {
	return func(o *options) { o.storage = of }
}

// Matrices is a storage rule: every matrix has type s, vectors and numbers are Float.
func Matrices(s device.DType) func(*G.Node) device.DType {
	return func(n *G.Node) device.DType {
		if len(n.Shape()) == 2 {
			return s
		}
		return device.Float
	}
}

// DType is a node's element type as the graph has it; WithStorage decides how floats are stored.
func DType(n *G.Node) device.DType { return dtypeOf(n) }

// bytesOf is the size of an element, with Float as float32.
func bytesOf(t device.DType) int64 {
	switch t {
	case device.BFloat16, device.Float16:
		return 2
	case device.Int8:
		return 1
	}
	return 4
}

// infer gives every item its element type. A signature has a letter for each input, then > and one for the
// result: m has the storage type that all m of one launch share, f is Float, i Int32, q Int8, and a what
// the first input is.
func (s *schedule) infer(of func(*G.Node) device.DType) error {
	for i := range s.items {
		it := &s.items[i]
		if it.kernel == nil {
			if it.dtype = dtypeOf(it.node); it.dtype == device.Float && of != nil {
				it.dtype = of(it.node)
			}
			if it.dtype.IsFloat() != isFloat(it.node) {
				return fmt.Errorf("graph: compile: leaf %s is stored as %v", label(it.node), it.dtype)
			}
			continue
		}
		roles, result, ok := strings.Cut(it.signature(), ">")
		if !ok || len(roles) != len(it.in) {
			return fmt.Errorf("graph: compile: %s has signature %q for %d inputs", label(it.node), it.signature(), len(it.in))
		}
		shared := -1
		for k, j := range it.in {
			got := s.items[j].dtype
			switch want := roles[k]; {
			case want == 'f' && got != device.Float, want == 'i' && got != device.Int32, want == 'q' && got != device.Int8, want == 'm' && !got.IsFloat():
				names := map[byte]string{'f': "float", 'i': "int32", 'q': "int8", 'm': "fractions"}
				return fmt.Errorf("graph: compile: %s takes %s as %s, which is stored as %v", label(it.node), label(s.items[j].node), names[want], got)
			case want == 'm' && shared >= 0 && got != s.items[shared].dtype:
				return fmt.Errorf("graph: compile: %s mixes %s, stored as %v, and %s, stored as %v", label(it.node),
					label(s.items[shared].node), s.items[shared].dtype, label(s.items[j].node), got)
			case want == 'm':
				shared = j
			}
		}
		switch {
		case result == "a":
			it.dtype = s.items[it.in[0]].dtype
		case result == "m" && shared >= 0:
			it.dtype = s.items[shared].dtype
		case result == "m" && of != nil:
			it.dtype = of(it.node)
		default:
			it.dtype = device.Float
		}
	}
	return nil
}
