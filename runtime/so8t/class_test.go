package so8t

import (
	"context"
	"math"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/model"
)

func TestAClassIsAProductOfTheTwoHeads(t *testing.T) {
	for class, want := range map[Class][2]int32{Allow: {0, 0}, Escalation: {0, 1}, Deny: {1, 0}, Refuse: {1, 1}} {
		if got := [2]int32{class.safety(), class.authority()}; got != want {
			t.Errorf("%v: %v, want %v", class, got, want)
		}
		if back, err := ParseClass(strings.ToLower(class.String())); err != nil || back != class {
			t.Errorf("%v reads back as %v: %v", class, back, err)
		}
		var safety, authority [2]float64
		safety[want[0]], authority[want[1]] = 2, 1
		v := newVerdict(safety, authority)
		if v.Class() != class {
			t.Errorf("heads %v %v say %v, want %v", safety, authority, v.Class(), class)
		}
		p := 1 / (1 + math.Exp(-2)) / (1 + math.Exp(-1))
		if math.Abs(v.Classes[class]-p) > 1e-15 {
			t.Errorf("%v has %g, want %g", class, v.Classes[class], p)
		}
	}
	if _, err := ParseClass("MAYBE"); err == nil || !strings.Contains(err.Error(), "ESCALATION") {
		t.Errorf("got %v", err)
	}
}

func TestExtremeLogitsGiveNoNaN(t *testing.T) {
	v := newVerdict([2]float64{1e4, -1e4}, [2]float64{-800, 800})
	if v.Classes != [4]float64{0, 1, 0, 0} {
		t.Errorf("%+v", v)
	}
}

func TestClassifyReadsThePromptsLastToken(t *testing.T) {
	eachDevice(t, func(t *testing.T, dev device.Device) {
		m := turned(t, "qwen2", 0.4)
		params, err := m.Upload(dev, model.Storage{})
		if err != nil {
			t.Fatal(err)
		}
		defer params.Close()
		c := NewClassifier(dev, m.Source, params)
		defer c.Close()
		long := make([]int32, 40)
		for i := range long {
			long[i] = int32(i*5) % testVocab
		}
		first, err := c.Classify(t.Context(), long[:33])
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, p := range first.Classes {
			sum += p
		}
		if math.Abs(sum-1) > 1e-12 || first.Classes[0] == 0.25 {
			t.Errorf("%+v", first)
		}
		// The same prompt in a graph with other padding, after another prompt.
		if _, err := c.Classify(t.Context(), long); err != nil {
			t.Fatal(err)
		}
		short, err := c.Classify(t.Context(), long[:5])
		if err != nil {
			t.Fatal(err)
		}
		again, err := c.Classify(t.Context(), long[:33])
		if err != nil || again != first {
			t.Errorf("%+v, before %+v: %v", again, first, err)
		}
		if short == first {
			t.Error("another prompt has the same verdict")
		}
		for _, bad := range [][]int32{nil, {testVocab}, {-1}, make([]int32, 65)} {
			if _, err := c.Classify(t.Context(), bad); err == nil {
				t.Errorf("%v was accepted", bad)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Classify(ctx, long[:5]); err != context.Canceled {
			t.Errorf("cancelled: %v", err)
		}
	})
}
