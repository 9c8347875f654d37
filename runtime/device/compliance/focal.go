package compliance

import (
	"fmt"

	"triality/runtime/device"
)

func hasFocal(d device.Device) bool { _, ok := d.(device.Focal); return ok }

// focal is of negative log-likelihoods, which are 0 where a row has no label; below 0 they are taken for 0.
func focal() []operation {
	var ops []operation
	for _, n := range sizes {
		for _, gamma := range []float64{0.5, 1, 2, 5} {
			name := fmt.Sprintf(" of %d, gamma %g", n, gamma)
			ops = append(ops,
				operation{name: "focal" + name, floats: []int{n}, vectors: []int{0}, outs: []int{n}, sums: []int{0}, needs: hasFocal,
					launch: func(d device.Device, o, x, i bufs) { d.(device.Focal).Focal(o[0], x[0], gamma) }},
				operation{name: "focal grad" + name, floats: []int{n, n}, vectors: []int{0, 1}, outs: []int{n}, sums: []int{0}, needs: hasFocal,
					launch: func(d device.Device, o, x, i bufs) { d.(device.Focal).FocalGrad(o[0], x[0], x[1], gamma) }})
		}
	}
	return ops
}
