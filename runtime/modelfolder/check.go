// Package modelfolder works on models as files, a few rows at a time, without loading them: it checks
// a Hugging Face folder or a GGUF file, and stores a folder's weights as another type.
package modelfolder

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"triality/runtime/model"
)

// Check is one thing that was looked at.
type Check struct {
	Name   string // "tensors", "values", …
	Detail string // what was found
	Err    error  // what is wrong, and where; nil is fine
}

// Failed is the first check's error, saying which check it is; nil where all are fine.
func Failed(checks []Check) error {
	for _, c := range checks {
		if c.Err != nil {
			return fmt.Errorf("%s: %w", c.Name, c.Err)
		}
	}
	return nil
}

// weights are a file's or folder's tensors.
type weights interface {
	names() []string
	shape(name string) ([]int, bool)
	storage(name string) string // the type stored, "F32"
	readable(name string) bool  // as float32
	read(name string, dst []float32, at int) error
}

// checkTensors holds the tensors to those expected: each there with its shape, and no other but those that
// unused explains. It counts every tensor, and names those that nothing uses.
func checkTensors(w weights, specs []model.Spec, unused func(name string) (why string, ok bool)) Check {
	c := Check{Name: "tensors"}
	want := make(map[string]bool, len(specs))
	var wrong, left []string
	for _, s := range specs {
		want[s.Name] = true
		shape, ok := w.shape(s.Name)
		switch {
		case !ok:
			wrong = append(wrong, fmt.Sprintf("%s %v is missing", s.Name, s.Shape))
		case !slices.Equal(shape, s.Shape):
			wrong = append(wrong, fmt.Sprintf("%s is %v, the configuration makes it %v", s.Name, shape, s.Shape))
		}
	}
	for _, n := range w.names() {
		if want[n] {
			continue
		}
		if why, ok := unused(n); ok {
			left = append(left, fmt.Sprintf("%s (%s)", n, why))
		} else {
			wrong = append(wrong, n+" is unexpected")
		}
	}
	c.Detail = fmt.Sprintf("%d, each with the shape the configuration gives it", len(specs))
	if len(left) > 0 {
		c.Detail = fmt.Sprintf("%d: %d with the shape the configuration gives them, %d that nothing uses: %s", len(w.names()), len(specs), len(left), strings.Join(left, ", "))
	}
	if len(wrong) > 0 {
		c.Detail = fmt.Sprintf("%d of %d are not as the configuration has them", len(wrong), len(w.names()))
		more := ""
		if len(wrong) > 4 {
			more = fmt.Sprintf("; and %d more", len(wrong)-4)
			wrong = wrong[:4]
		}
		c.Err = fmt.Errorf("%s%s", strings.Join(wrong, "; "), more)
	}
	return c
}

// checkStorage counts the types stored; allowed says which a tensor may have.
func checkStorage(w weights, allowed func(string) bool) Check {
	c := Check{Name: "types"}
	counts := map[string]int{}
	for _, n := range w.names() {
		t := w.storage(n)
		counts[t]++
		if c.Err == nil && !allowed(t) {
			c.Err = fmt.Errorf("%s is stored as %s, which is not read as weights", n, t)
		}
	}
	var parts []string
	for t, n := range counts {
		parts = append(parts, fmt.Sprintf("%s × %d", t, n))
	}
	slices.Sort(parts)
	c.Detail = strings.Join(parts, ", ")
	return c
}

// piece is how many elements are looked at at once: whole blocks of every type.
const piece = 1 << 18

// checkValues looks at every value: none may be infinite or no number.
func checkValues(ctx context.Context, w weights) Check {
	c := Check{Name: "values"}
	var seen int64
	skipped := 0
	largest, where := 0.0, ""
	buf := make([]float32, piece)
	for _, name := range w.names() {
		if !w.readable(name) {
			skipped++
			continue
		}
		shape, _ := w.shape(name)
		total := 1
		for _, d := range shape {
			total *= d
		}
		for at := 0; at < total; at += piece {
			if err := ctx.Err(); err != nil {
				c.Err = err
				return c
			}
			v := buf[:min(piece, total-at)]
			if err := w.read(name, v, at); err != nil {
				c.Err = err
				return c
			}
			for i, x := range v {
				abs := math.Abs(float64(x))
				if x != x || math.IsInf(abs, 0) {
					c.Detail = "one is not finite"
					c.Err = fmt.Errorf("%s%v is %g", name, model.Place(at+i, shape), x)
					return c
				}
				if abs > largest {
					largest, where = abs, name
				}
			}
			seen += int64(len(v))
		}
	}
	c.Detail = fmt.Sprintf("%d, all finite; the largest is %.4g in %s", seen, largest, where)
	if where == "" {
		c.Detail = fmt.Sprintf("%d, all of them 0", seen)
	}
	if skipped > 0 {
		c.Detail += fmt.Sprintf("; %d tensors of other types were not looked into", skipped)
	}
	return c
}

// ids checks that named tokens are among size of them.
func ids(size int, named map[string]int) error {
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if id := named[name]; id >= size {
			return fmt.Errorf("%s is token %d, there are %d", name, id, size)
		}
	}
	return nil
}
