package so8t

import (
	"fmt"

	"triality/runtime/device"
)

// Health is the state of one layer's gates, as the device computes them.
type Health struct {
	SafeOrthogonality, CmdOrthogonality float64 // ‖RᵀR − I‖, Frobenius
	SafeDeterminant, CmdDeterminant     float64
	SafeScale, CmdScale                 float64
	Commutator                          float64 // ‖R_cmd·R_safe − R_safe·R_cmd‖, Frobenius
}

// metrics adds the values under the layer's names.
func (h Health) metrics(layer int, to map[string]float64) {
	at := fmt.Sprintf("layers.%d.", layer)
	to[at+"safe.orthogonality_error"], to[at+"cmd.orthogonality_error"] = h.SafeOrthogonality, h.CmdOrthogonality
	to[at+"safe.determinant"], to[at+"cmd.determinant"] = h.SafeDeterminant, h.CmdDeterminant
	to[at+"safe.scale"], to[at+"cmd.scale"] = h.SafeScale, h.CmdScale
	to[at+"commutator_norm"] = h.Commutator
}

// Monitor measures the rotations that the device makes of each layer's generators, so that the
// device's rounding is in the figures; the norms are taken in float64.
func Monitor(dev device.Device, layers []Layer) ([]Health, error) {
	buf, err := dev.Alloc(device.Float, Generators+N*N)
	if err != nil {
		return nil, fmt.Errorf("so8t monitor: %w", err)
	}
	defer dev.Free(buf)
	a, r := buf.Slice(0, Generators), buf.Slice(Generators, Generators+N*N)
	rotation := func(g Gate) (m Matrix, err error) {
		if err = dev.Upload(a, g.Generator[:]); err == nil {
			dev.SkewExp(r, a)
			err = dev.Download(m[:], r)
		}
		return m, err
	}
	out := make([]Health, len(layers))
	for i, l := range layers {
		safe, err := rotation(l.Safe)
		if err != nil {
			return nil, fmt.Errorf("so8t monitor: layer %d: %w", i, err)
		}
		cmd, err := rotation(l.Cmd)
		if err != nil {
			return nil, fmt.Errorf("so8t monitor: layer %d: %w", i, err)
		}
		out[i] = Health{
			SafeOrthogonality: safe.OrthogonalityError(), CmdOrthogonality: cmd.OrthogonalityError(),
			SafeDeterminant: safe.Determinant(), CmdDeterminant: cmd.Determinant(),
			SafeScale: float64(l.Safe.Scale), CmdScale: float64(l.Cmd.Scale),
			Commutator: CommutatorNorm(cmd, safe),
		}
	}
	return out, nil
}
