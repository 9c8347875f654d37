package graph

import (
	"fmt"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
)

type focal struct{ Gamma float64 }

// Focal is the focal loss (Lin et al. 2017) of negative log-likelihoods nll, a vector: (1 − p)^gamma · nll, where p is e^−nll. A
// gamma of 0 gives nll itself. The device must be a device.Focal.
func Focal(nll *G.Node, gamma float64) (*G.Node, error) {
	if _, err := floats("focal", "nll", nll, -1); err != nil {
		return nil, err
	}
	if len(nll.Shape()) != 1 {
		return nil, fmt.Errorf("graph: focal: nll has shape %v, want a vector", nll.Shape())
	}
	if !(gamma >= 0) {
		return nil, fmt.Errorf("graph: focal: gamma %v is below 0", gamma)
	}
	if gamma == 0 {
		return nll, nil
	}
	return apply(focal{gamma}, nll.Shape(), nll)
}

func (k focal) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.Focal).Focal(out[0], in[0], k.Gamma)
}
func (focal) signature() string { return "f>f" }
func (focal) inPlace() []int    { return []int{0} }
func (focal) wrt() []bool       { return []bool{true} }

func (k focal) grad(in G.Nodes, _, dy *G.Node) (G.Nodes, error) {
	d, err := apply(focalGrad(k), in[0].Shape(), in[0], dy)
	return G.Nodes{d}, err
}

type focalGrad struct{ Gamma float64 }

func (k focalGrad) launch(dev device.Device, out, in []device.Buffer) {
	dev.(device.Focal).FocalGrad(out[0], in[0], in[1], k.Gamma)
}
func (focalGrad) signature() string { return "ff>f" }
func (focalGrad) inPlace() []int    { return []int{0, 1} }
