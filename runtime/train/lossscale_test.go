package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/reference"
	"triality/runtime/model"
)

// overflowing is a device on which the gradients of some optimizer steps are infinite.
type overflowing struct {
	*reference.Device
	at   func(step int) bool
	step int
	took []int // the numbers of AdamW's steps
}

func (d *overflowing) AdamWStep(value, grad, m, v device.Buffer, c device.AdamW) {
	d.took = append(d.took, c.Step)
	d.Device.AdamWStep(value, grad, m, v, c)
}

func (d *overflowing) SquaredSum(dst, a device.Buffer) {
	d.step++
	if d.at(d.step) {
		d.Fill(dst, math.Inf(1))
		return
	}
	d.Device.SquaredSum(dst, a)
}

// halfRun trains the test task in Float16.
func halfRun(t *testing.T, dev device.Device, dir string, opt Options, crash int) (*Result, error) {
	t.Helper()
	task := bigrams(0.2)
	task.Storage = device.Float16
	r, err := newRunner(dev, task, sentences(1, 20), nil, dir, opt, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	r.afterStep = func(step int) error {
		if step == crash {
			return errCrash
		}
		return nil
	}
	return r.run(context.Background())
}

func TestAnOverflowSkipsTheStepAndHalvesTheLossScale(t *testing.T) {
	opt := testOptions()
	opt.LoggingSteps, opt.Epochs = 1, 1
	dev := &overflowing{Device: reference.New(), at: func(step int) bool { return step == 2 || step == 3 }}
	res, err := halfRun(t, dev, t.TempDir(), opt, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ scale, skipped float64 }{{65536, 0}, {32768, 1}, {16384, 2}, {16384, 2}} {
		v := res.Records[i].Values
		if v["loss_scale"] != want.scale || v["skipped_steps"] != want.skipped {
			t.Errorf("after step %d the scale is %g with %g skipped, want %+v", i+1, v["loss_scale"], v["skipped_steps"], want)
		}
		if (v["first"] == res.Records[max(0, i-1)].Values["first"]) != (i < 3) {
			t.Errorf("after step %d a weight is %g", i+1, v["first"])
		}
	}
	if !slices.Equal(dev.took, []int{1, 1, 2, 2}) { // of two tensors each
		t.Errorf("AdamW counts its steps %v", dev.took)
	}
}

func TestTheLossScaleChangesNoGradient(t *testing.T) {
	opt := testOptions()
	opt.LoggingSteps = 1
	task := bigrams(0.2)
	task.Storage = device.BFloat16
	plain, err := runUntil(t, task, sentences(1, 20), nil, t.TempDir(), opt, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	full, err := runUntil(t, bigrams(0.2), sentences(1, 20), nil, t.TempDir(), opt, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"grad_norm", "loss"} { // from the very first step
		got, want := plain.Records[0].Values[name], full.Records[0].Values[name]
		if math.Abs(got-want)/want > 0.02 {
			t.Errorf("%s begins with %g in bfloat16 and %g in float", name, got, want)
		}
	}
	half, err := halfRun(t, reference.New(), t.TempDir(), opt, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range half.Records {
		want := plain.Records[i].Values
		if _, ok := want["loss_scale"]; ok {
			t.Fatal("bfloat16 has a loss scale")
		}
		for _, name := range []string{"grad_norm", "loss"} {
			if d := math.Abs(r.Values[name]-want[name]) / want[name]; d > 0.02 {
				t.Errorf("step %d: %s is %g in float16 and %g in bfloat16", i+1, name, r.Values[name], want[name])
			}
		}
	}
}

func TestTheLossScaleGrowsAndIsGivenUp(t *testing.T) {
	s := newLossScale()
	for range lossScaleSteps - 1 {
		s.taken()
	}
	if s.Factor != 65536 {
		t.Errorf("the scale is %g a step too soon", s.Factor)
	}
	if s.taken(); s.Factor != 131072 || s.Good != 0 {
		t.Errorf("after %d good steps: %+v", lossScaleSteps, s)
	}
	opt := testOptions()
	opt.Epochs = 20
	dev := &overflowing{Device: reference.New(), at: func(int) bool { return true }}
	if _, err := halfRun(t, dev, t.TempDir(), opt, 0); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "loss scale") {
		t.Errorf("gradients that always overflow give %v", err)
	}
}

func TestARunInFloat16ResumesToTheSameBytes(t *testing.T) {
	opt := testOptions()
	overflows := func(step int) bool { return step == 2 || step == 5 }
	whole := t.TempDir()
	res, err := halfRun(t, &overflowing{Device: reference.New(), at: overflows}, whole, opt, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := fingerprint(t, res, whole)
	for _, crash := range []int{3, 6, 9} {
		t.Run(fmt.Sprintf("after step %d", crash), func(t *testing.T) {
			dir := t.TempDir()
			if _, err := halfRun(t, &overflowing{Device: reference.New(), at: overflows}, dir, opt, crash); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			saved := (crash - 1) / 2 * 2
			again, err := halfRun(t, &overflowing{Device: reference.New(), at: overflows, step: saved}, dir, opt, 0)
			if err != nil {
				t.Fatal(err)
			}
			if again.ResumedFrom != saved || !bytes.Equal(fingerprint(t, again, dir), want) {
				t.Errorf("resumed from %d; or the result differs", again.ResumedFrom)
			}
		})
	}
}

func TestNarrowRunsTrainMasterWeightsAndResume(t *testing.T) {
	for name, st := range map[string]model.Storage{
		"bfloat16": {Matrices: device.BFloat16}, "float16": {Matrices: device.Float16}, "int8": {Matrices: device.BFloat16, Int8: true, Threshold: 6},
		"int8 and float": {Int8: true, Threshold: 6}, "fp8": {Matrices: device.BFloat16, FP8: true},
	} {
		t.Run(name, func(t *testing.T) {
			dev := reference.New()
			defer dev.Close()
			cfg, p := testModel(t, "qwen2")
			opt := languageOptions(&testLoRA)
			opt.Storage, opt.Recompute, opt.LearningRate, opt.Epochs = st, RecomputeLayer, 1e-4, 1
			if !st.Quantized() {
				opt.LoRA = nil
			}
			train := sentences(1, 20)
			whole := t.TempDir()
			want, err := Run(context.Background(), dev, cfg, p, train, nil, whole, opt, nil)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(context.Background())
			if _, err := Run(ctx, dev, cfg, p, train, nil, dir, opt, &journal{onRecord: func(Record) { cancel() }}); !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			got, err := Run(context.Background(), dev, cfg, p, train, nil, dir, opt, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(fingerprint(t, &got.Result, dir), fingerprint(t, &want.Result, whole)) {
				t.Error("the resumed result differs")
			}
			fine := false // a step of 1e-4 moves values by less than bfloat16 tells apart
			for _, w := range want.Weights {
				for _, v := range w.Data {
					fine = fine || math.Float32bits(v)&0xffff != 0
				}
			}
			if !fine {
				t.Error("the trained weights have no more digits than their narrow copies")
			}
		})
	}
}

func TestWeightsInCodesAreNotTrainedThemselves(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	cfg, p := testModel(t, "qwen2")
	for key, st := range map[string]model.Storage{"load_in_8bit": {Int8: true}, "quantization": {FP8: true}} {
		opt := languageOptions(nil)
		opt.Storage = st
		_, err := Run(context.Background(), dev, cfg, p, sentences(1, 6), nil, t.TempDir(), opt, nil)
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("%s: got %v", key, err)
		}
	}
}

func TestGoodStepsAreCountedFromTheLastOverflow(t *testing.T) {
	s := newLossScale()
	for range lossScaleSteps - 1 {
		s.taken()
	}
	if err := s.overflowed(); err != nil {
		t.Fatal(err)
	}
	want := lossScale{Factor: firstLossScale / 2, Skipped: 1}
	if *s != want {
		t.Errorf("after an overflow: %+v, want %+v", *s, want)
	}
	for range lossScaleSteps - 1 {
		s.taken()
	}
	if s.Factor != firstLossScale/2 {
		t.Errorf("the scale is %g a step too soon", s.Factor)
	}
	if s.taken(); s.Factor != firstLossScale {
		t.Errorf("after %d good steps the scale is %g", lossScaleSteps, s.Factor)
	}
}

func TestTheSmallestLossScaleIsStillUsed(t *testing.T) {
	s := &lossScale{Factor: 2 * smallestLossScale}
	if err := s.overflowed(); err != nil || s.Factor != smallestLossScale {
		t.Errorf("at the smallest scale: %+v, %v", s, err)
	}
	if err := s.overflowed(); !errors.Is(err, ErrNotFinite) {
		t.Errorf("below it: %v", err)
	}
}
