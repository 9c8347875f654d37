package lora

import (
	"math"
	"testing"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/device/reference"
	"triality/runtime/graph"
	"triality/runtime/model"
)

// lossOf is a model's loss on a few tokens with an adapter, and where leaves are wanted its gradients.
func lossOf(t *testing.T, cfg model.Config, p model.Source, a *Adapter, gradients bool) (float64, map[string][]float64) {
	t.Helper()
	dev := reference.New()
	defer dev.Close()
	cfg, p = a.Model(cfg, p)
	d, err := model.Upload(dev, cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := a.Put(d); err != nil {
		t.Fatal(err)
	}
	const T = 6
	b := model.NewBuilder(cfg, a.Hooks(model.Hooks{}, false))
	in := b.Inputs(T)
	h, err := b.Hidden(in)
	if err != nil {
		t.Fatal(err)
	}
	labels, shares := b.Leaf("labels", device.Int32, T), b.Leaf("shares", device.Float, T)
	nll, err := b.NLL(h, labels)
	if err != nil {
		t.Fatal(err)
	}
	cost, err := graph.Dot(shares, nll)
	if err != nil {
		t.Fatal(err)
	}
	outputs := G.Nodes{cost}
	if gradients {
		var leaves G.Nodes
		for _, x := range a.Tensors() {
			leaves = append(leaves, b.Leaves()[x.Name])
		}
		grads, err := graph.Grad(cost, leaves...)
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, grads...)
	}
	m, err := graph.Compile(dev, outputs)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := d.Bind(m, b); err != nil {
		t.Fatal(err)
	}
	for leaf, v := range map[*G.Node]any{
		in.IDs: []int32{3, 1, 4, 1, 5, 9}, in.Pos: []int32{0, 1, 2, 3, 4, 5}, in.Lo: make([]int32, T), in.Hi: []int32{1, 2, 3, 4, 5, 6},
		labels: []int32{1, -100, 1, 5, 9, 2}, shares: []float64{0.2, 0, 0.2, 0.2, 0.2, 0.2},
	} {
		kind := device.Float
		if _, ok := v.([]int32); ok {
			kind = device.Int32
		}
		buf, err := dev.Alloc(kind, T)
		if err == nil {
			err = dev.Upload(buf, v)
		}
		if err == nil {
			err = m.Set(leaf, buf)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	read := func(n *G.Node) []float64 {
		out := make([]float64, n.Shape().TotalSize())
		if err := dev.Download(out, m.Output(n)); err != nil {
			t.Fatal(err)
		}
		return out
	}
	grads := map[string][]float64{}
	for i, n := range outputs[1:] {
		grads[a.Tensors()[i].Name] = read(n)
	}
	return read(cost)[0], grads
}

func TestTheGradientsOfTheEndsAreDifferenceQuotients(t *testing.T) {
	cfg, p := smallModel(t, "llama") // tied
	for i := range p.Names() {
		x, _ := p.Get(p.Names()[i])
		for j := range x.Data {
			x.Data[j] /= 4 // a loss that is not all one token's
		}
	}
	for name, c := range map[string]Config{
		"lora":     {R: 3, Alpha: 6, TargetModules: []string{"embed_tokens", "lm_head", "q_proj"}, RankPattern: []Pattern[int]{{"lm_head", 2}}},
		"outright": {R: 3, Alpha: 6, TargetModules: []string{"q_proj"}, SaveModules: []string{"embed_tokens", "lm_head"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := trained(t, c, cfg)
			lengthen(t, a, cfg, p)
			_, grads := lossOf(t, cfg, p, a, true)
			for _, x := range a.Tensors() {
				most := 0.0
				for _, g := range grads[x.Name] {
					most = math.Max(most, math.Abs(g))
				}
				if most == 0 {
					t.Errorf("%s has no gradient", x.Name)
				}
				for at := 0; at < len(*x.Data); at += 1 + len(*x.Data)/7 {
					const step = 1.0 / 1024
					was := (*x.Data)[at]
					(*x.Data)[at] = was + step
					up, _ := lossOf(t, cfg, p, a, false)
					(*x.Data)[at] = was - step
					down, _ := lossOf(t, cfg, p, a, false)
					(*x.Data)[at] = was
					rise := float64(was+step) - float64(was-step) // in float32
					if got, want := grads[x.Name][at], (up-down)/rise; math.Abs(got-want) > 1e-4*most+1e-7 {
						t.Errorf("%s[%d]: %g, by differences %g", x.Name, at, got, want)
					}
				}
			}
		})
	}
}
