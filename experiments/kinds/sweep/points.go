package sweep

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"triality/experiments/graph"
	"triality/runtime/device"
)

// point is one configuration.
type point struct {
	name string
	set  []graph.Setting
}

// maxVariants bounds the runs that a sweep may ask for.
const maxVariants = 2000

// points are a sweep's configurations, a function of its body alone.
func (b *Body) points() ([]point, error) {
	axes := b.Keys.axes
	if len(axes) == 0 {
		return nil, graph.At("keys", errors.New("is needed: the keys to change, each with its values or a range"))
	}
	for i, a := range axes {
		for _, other := range append(slices.Clone(axes[:i]), axis{key: b.Budget.Key}) {
			if other.key != "" && (a.key == other.key || strings.HasPrefix(a.key, other.key+".") || strings.HasPrefix(other.key, a.key+".")) {
				return nil, graph.AtLine("keys", a.line, fmt.Errorf("%s and %s change the same", a.key, other.key))
			}
		}
	}
	if b.Method == Grid || b.Method == Halving && b.Samples == 0 {
		return b.grid()
	}
	return b.drawn()
}

// grid is every combination; the last key changes fastest.
func (b *Body) grid() ([]point, error) {
	if b.Samples != 0 {
		return nil, graph.At("samples", errors.New("a grid has every combination; leave it out, or take method: random"))
	}
	out := []point{{}}
	for _, a := range b.Keys.axes {
		if a.values == nil {
			if b.Method == Halving {
				return nil, graph.At("samples", fmt.Errorf("is needed: %s has a range, from which points are drawn", a.key))
			}
			return nil, graph.AtLine("keys", a.line, fmt.Errorf("%s: a grid wants a list of values; ranges are for method: random", a.key))
		}
		var next []point
		for _, p := range out {
			for _, v := range a.values {
				next = append(next, point{set: append(slices.Clone(p.set), graph.Setting{Key: a.key, Value: v})})
			}
			if len(next) > maxVariants {
				return nil, graph.AtLine("keys", a.line, fmt.Errorf("the grid has more than %d points", maxVariants))
			}
		}
		out = next
	}
	return b.named(out), nil
}

// maxDraws bounds how often a point is drawn anew because it is there already.
const maxDraws = 1000

// drawn are random points, no two of them the same.
func (b *Body) drawn() ([]point, error) {
	if b.Samples == 0 {
		return nil, graph.At("samples", errors.New("is needed: how many points are drawn"))
	}
	var out []point
	seen := map[string]bool{}
	draw := uint32(0)
	for len(out) < b.Samples {
		var p point
		id := ""
		for i, a := range b.Keys.axes {
			v := a.draw(b.Seed, draw, uint32(i))
			v.Line = a.line
			p.set = append(p.set, graph.Setting{Key: a.key, Value: v})
			id += text(v) + "\x00"
		}
		draw++
		if !seen[id] {
			seen[id] = true
			out = append(out, p)
		} else if draw > uint32(len(out)+maxDraws) {
			return nil, graph.At("samples", fmt.Errorf("%d different points are asked for, and the keys gave %d in %d draws; ask for fewer, or take method: grid", b.Samples, len(out), draw))
		}
	}
	return b.named(out), nil
}

// draw is a key's value in a draw. A number is rounded to four digits, which is what it is called by and what is run.
func (a axis) draw(seed uint64, draw, index uint32) *yaml.Node {
	lanes := device.Philox([4]uint32{draw, index, 0, 0}, [2]uint32{uint32(seed), uint32(seed >> 32)})
	u := float64(uint64(lanes[0])<<21|uint64(lanes[1])>>11) / (1 << 53) // in [0, 1)
	switch a.form {
	case "uniform":
		return number(rounded(a.from + u*(a.to-a.from)))
	case "log_uniform":
		return number(rounded(math.Exp(math.Log(a.from) + u*(math.Log(a.to)-math.Log(a.from)))))
	case "integer":
		return number(min(a.to, a.from+math.Floor(u*(a.to-a.from+1))))
	}
	v := *a.values[min(len(a.values)-1, int(u*float64(len(a.values))))]
	return &v
}

func rounded(v float64) float64 {
	out, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return out
}

// named gives points the names that tell them apart.
func (b *Body) named(points []point) []point {
	for i := range points {
		var words []string
		for _, s := range points[i].set {
			words = append(words, b.short(s.Key)+"="+text(s.Value))
		}
		points[i].name = strings.Join(words, ", ")
	}
	return points
}

// short is the last word of a key where no other key has the same.
func (b *Body) short(key string) string {
	last := key[strings.LastIndexByte(key, '.')+1:]
	keys := []string{b.Budget.Key}
	for _, a := range b.Keys.axes {
		keys = append(keys, a.key)
	}
	for _, other := range keys {
		if other != key && other[strings.LastIndexByte(other, '.')+1:] == last {
			return key
		}
	}
	return last
}
