package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
)

// several are processors whose sums are counted, and fail where the test says.
type several struct {
	*cpu.Group
	sums int
	fail error
}

func newSeveral(t *testing.T, n int) *several {
	t.Helper()
	s := &several{Group: cpu.NewGroup(cpu.Options{Threads: n}, n)}
	t.Cleanup(func() { s.Close() })
	return s
}

func (s *several) SumAll(buffers []device.Buffer) error {
	s.sums++
	if s.fail != nil {
		return s.fail
	}
	return s.Group.SumAll(buffers)
}

func groupOptions() Options {
	o := languageOptions(&testLoRA)
	o.GradientAccumulation, o.BatchSize, o.Epochs, o.LoggingSteps, o.SaveSteps = 4, 2, 2, 1, 2
	return o
}

func TestDevicesThatShareAStepTrainAsOneDoes(t *testing.T) {
	cfg, p := testModel(t, "qwen2")
	set := sentences(1, 22) // of which the last step of an epoch has too few for every device
	one := cpu.New(cpu.Options{Threads: 1})
	defer one.Close()
	alone, err := Run(t.Context(), one, cfg, p, set, set[:3], t.TempDir(), groupOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, optimizer := range []string{AdamW, AdamW8bit, PagedAdamW} {
		for _, n := range []int{2, 4} {
			g := newSeveral(t, n)
			o := groupOptions()
			o.Optimizer = optimizer
			whole := t.TempDir()
			got, err := Run(t.Context(), g, cfg, p, set, set[:3], whole, o, nil)
			if err != nil {
				t.Fatal(err)
			}
			if g.sums != got.Steps {
				t.Errorf("%d sums for %d steps", g.sums, got.Steps)
			}
			if optimizer != AdamW8bit {
				for i, r := range got.Records {
					for name, v := range alone.Records[i].Values {
						if math.Abs(r.Values[name]-v) > 2e-3*math.Max(1, math.Abs(v)) {
							t.Errorf("%d devices, step %d: %s is %g, on one %g", n, r.Step, name, r.Values[name], v)
						}
					}
				}
			}
			// Killed after a checkpoint and taken up by as many, it ends with the same bytes.
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := Run(ctx, newSeveral(t, n), cfg, p, set, set[:3], dir, o, &journal{onRecord: func(r Record) {
				if r.Step == 3 {
					cancel()
				}
			}}); !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			if _, err := Run(t.Context(), newSeveral(t, 1), cfg, p, set, set[:3], dir, o, nil); !errors.Is(err, ErrOtherRun) || !strings.Contains(err.Error(), "devices") {
				t.Errorf("one device takes up a run of %d: %v", n, err)
			}
			again, err := Run(t.Context(), newSeveral(t, n), cfg, p, set, set[:3], dir, o, nil)
			if err != nil {
				t.Fatal(err)
			}
			if again.ResumedFrom == 0 || !bytes.Equal(fingerprint(t, &again.Result, dir), fingerprint(t, &got.Result, whole)) {
				t.Errorf("%d devices, %s: the resumed result, from step %d, differs", n, optimizer, again.ResumedFrom)
			}
		}
	}
}

func TestEveryRankHasTheSameValues(t *testing.T) {
	task := bigramsOf(codedWidth, 0.2)
	task.On = func(device.Device) (func(int, bool) (*Program, error), func() error, error) {
		return task.Build, func() error { return nil }, nil
	}
	o := codedOptions(AdamW8bit)
	o.GradientAccumulation = 2
	r, err := newRunner(newSeveral(t, 2), task, sentences(1, 20), nil, t.TempDir(), o, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if _, err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, s := range r.slots.list {
		var values [2][]float32
		for k, rank := range r.ranks() {
			values[k] = make([]float32, len(s.Data))
			if err := rank.dev.Download(values[k], rank.slots.list[i].value); err != nil {
				t.Fatal(err)
			}
		}
		for j, v := range values[0] {
			if math.Float32bits(v) != math.Float32bits(values[1][j]) {
				t.Fatalf("%s[%d] is %g on the first device and %g on the second", s.Name, j, v, values[1][j])
			}
		}
	}
}

func TestWhatADeviceOfAGroupCannotDoIsSaid(t *testing.T) {
	cfg, p := testModel(t, "qwen2")
	set := sentences(1, 12)
	o := groupOptions()
	o.GradientAccumulation = 3
	if _, err := Run(t.Context(), newSeveral(t, 2), cfg, p, set, nil, t.TempDir(), o, nil); err == nil || !strings.Contains(err.Error(), "gradient_accumulation_steps: 3") {
		t.Errorf("three micro-batches for two devices: %v", err)
	}
	g := newSeveral(t, 2)
	g.fail = errors.New("the link is down")
	if _, err := Run(t.Context(), g, cfg, p, set, nil, t.TempDir(), groupOptions(), nil); !errors.Is(err, g.fail) {
		t.Errorf("a sum that failed: %v", err)
	}
}
