package so8t

import (
	"errors"
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// Gate is one rotation with its scale: x ↦ Scale · exp(Skew(Generator)) · x on each block of eight.
type Gate struct {
	Generator [Generators]float32
	Scale     float32
}

// Rotation is exp of the generator, in float64.
func (g Gate) Rotation() Matrix {
	var a [Generators]float64
	for i, v := range g.Generator {
		a[i] = float64(v)
	}
	return Skew(a).Exp()
}

// Layer holds the two gates of one layer.
type Layer struct{ Safe, Cmd Gate }

// identityLayer changes nothing.
func identityLayer() Layer { return Layer{Safe: Gate{Scale: 1}, Cmd: Gate{Scale: 1}} }

// Matrix is what the layer does to a block of eight: s_cmd·s_safe·R_cmd·R_safe.
func (l Layer) Matrix() Matrix {
	return l.Cmd.Rotation().Mul(l.Safe.Rotation()).Scale(float64(l.Cmd.Scale) * float64(l.Safe.Scale))
}

// gateName is the name of a gate's weight; gate is "safe" or "cmd", part "generator" or "scale".
func gateName(layer int, gate, part string) string {
	return fmt.Sprintf("model.layers.%d.so8t.%s.%s", layer, gate, part)
}

// The names of the two heads' weights, [2, hidden].
const (
	SafetyHead    = "safety_head.weight"
	AuthorityHead = "authority_head.weight"
)

// Hooks adds the gates to a model's graph, with leaves named as in the model's file.
func Hooks() model.Hooks {
	return model.Hooks{AttentionInput: func(b *model.Builder, layer int, h *G.Node) (*G.Node, error) {
		for _, gate := range []string{"safe", "cmd"} {
			a := b.Leaf(gateName(layer, gate, "generator"), device.Float, Generators)
			s := b.Leaf(gateName(layer, gate, "scale"), device.Float, 1)
			r, err := graph.SkewExp(a)
			if err == nil {
				h, err = graph.BlockMul(h, r)
			}
			if err == nil {
				h, err = graph.ScaleBy(h, s)
			}
			if err != nil {
				return nil, errors.Join(fmt.Errorf("so8t gate %s: %w", gate, err), b.Err())
			}
		}
		return h, nil
	}}
}
