package enginebench

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/runtime/model"
)

// quick is a run that measures nothing worth knowing, in no time.
func quick() Options {
	return Options{
		Threads: 1, Shape: Shape{Vocab: 40, Hidden: 16, Layers: 2, Heads: 4, KVHeads: 2, FFN: 24},
		Batch: 2, Sequence: 9, Rounds: 2, TurnSteps: 2, Sizes: []int{5, 33}, Repeat: 2,
		Turn: time.Nanosecond, Pause: time.Nanosecond,
	}
}

func TestTheShapeHasTenMillionWeights(t *testing.T) {
	cfg, err := TenMillion.config(256)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, s := range cfg.Specs() {
		size := 1
		for _, d := range s.Shape {
			size *= d
		}
		n += size
	}
	if n < 9_900_000 || n > 10_100_000 {
		t.Errorf("%d weights", n)
	}
}

func TestWithoutPeersTheEngineIsMeasuredAlone(t *testing.T) {
	o := quick()
	o.Python, o.OpenBLAS = []string{"no-such-python"}, []string{"libno-such-blas.so"}
	var began []string
	o.Progress = func(s string) { began = append(began, s) }
	rep, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Missing) != 2 || !strings.HasPrefix(rep.Missing[0], "PyTorch: no-such-python") || !strings.HasPrefix(rep.Missing[1], "OpenBLAS: ") {
		t.Errorf("missing %q", rep.Missing)
	}
	if rep.Training.Peer != nil || rep.Training.Ratio != nil || rep.Training.StepSeconds.Count != 4 || len(rep.Training.Losses) != warmUp+4 {
		t.Errorf("training %+v", rep.Training)
	}
	if len(rep.Products) != 2 || rep.Products[1].Size != 33 || rep.Products[1].Ratio != nil || !(rep.Products[1].GFLOPS.Best > 0) {
		t.Errorf("products %+v", rep.Products)
	}
	if !slices.Equal(began, []string{"training", "product of 5", "product of 33"}) {
		t.Errorf("progress %q", began)
	}
	if _, err := json.Marshal(rep); err != nil {
		t.Error(err)
	}
}

func TestOpenBLASGivesTheSameProducts(t *testing.T) {
	o := quick()
	o.fill()
	if _, name, err := openBLAS(o.OpenBLAS, 1); err != nil {
		t.Skip("needs OpenBLAS (Debian: libopenblas0): ", err)
	} else if !strings.Contains(name, "OpenBLAS") {
		t.Errorf("it calls itself %q", name)
	}
	o.Python = []string{"no-such-python"}
	rep, err := Run(t.Context(), o) // it compares the results
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rep.Products {
		if p.Ratio == nil || !(p.Ratio.Least > 0) || p.PeerSeconds.Count < o.Repeat {
			t.Errorf("product %+v", p)
		}
	}
}

func TestPyTorchLosesAsWeDoFromTheSameWeights(t *testing.T) {
	o := quick()
	o.Sizes = []int{}
	rep, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Missing) > 0 {
		t.Skip("needs PyTorch (Debian: python3-torch): ", rep.Missing)
	}
	tr := rep.Training
	if len(tr.Peer.Losses) != len(tr.Losses) || tr.LossDifference > 1e-5 || tr.Peer.StepSeconds.Count != 4 || tr.Peer.Threads != 1 {
		t.Errorf("losses %v and %v; peer %+v", tr.Losses, tr.Peer.Losses, tr.Peer)
	}
	if !(tr.Losses[len(tr.Losses)-1] < tr.Losses[0]) {
		t.Errorf("nothing was learnt: %v", tr.Losses)
	}
}

func TestAnInterpreterThatFailsIsAnError(t *testing.T) {
	o := quick()
	o.Python = []string{"false"} // a program that ends at once
	o.fill()
	cfg, err := o.Shape.config(o.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	params, err := model.Init(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.startTorch(t.Context(), params, o.examples()); err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("got %v", err)
	}
}

func TestACancelledRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := quick()
	o.Python, o.OpenBLAS = []string{"no-such-python"}, []string{"libno-such-blas.so"}
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSummaries(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want Times
	}{
		{[]float64{3, 1, 2}, Times{1, 2, 3}},
		{[]float64{4, 1, 2, 3}, Times{1, 2.5, 4}},
		{nil, Times{}},
	} {
		if got := summarise(tt.in); got != tt.want {
			t.Errorf("%v: %+v", tt.in, got)
		}
	}
	if r := ratio(Times{Least: 1, Median: 2}, Times{Least: 2, Median: 3}); r.Least != 2 || r.Median != 1.5 {
		t.Errorf("ratio %+v", r)
	}
	if d := difference([]float32{1, 2}, []float32{1, 4}); math.Abs(d-0.5) > 1e-9 {
		t.Errorf("difference %g", d)
	}
}
