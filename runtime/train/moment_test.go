package train

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/reference"
)

// codedWidth makes the test task's matrices large enough for 8-bit moments, with a last block that is
// not full.
const codedWidth = 380

func codedOptions(optimizer string) Options {
	opt := testOptions()
	opt.Epochs, opt.LearningRate, opt.Optimizer = 1, 0.01, optimizer
	return opt
}

func TestPagedMomentsGiveTheSameBytes(t *testing.T) {
	for plain, paged := range map[string]string{AdamW: PagedAdamW, AdamW8bit: PagedAdamW8bit} {
		t.Run(paged, func(t *testing.T) {
			var want []byte
			for _, optimizer := range []string{plain, paged} {
				dir := t.TempDir()
				res, err := runUntil(t, bigramsOf(codedWidth, 0.2), sentences(1, 20), nil, dir, codedOptions(optimizer), 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				got := fingerprint(t, res, dir)
				if want == nil {
					want = got
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s gives another result than %s", paged, plain)
				}
			}
		})
	}
}

func TestARunWithMomentsOfAnyKindResumesToTheSameBytes(t *testing.T) {
	train, task := sentences(1, 20), bigramsOf(codedWidth, 0.3)
	for _, optimizer := range []string{AdamW8bit, PagedAdamW8bit, PagedAdamW} {
		opt := codedOptions(optimizer)
		whole := t.TempDir()
		res, err := runUntil(t, task, train, nil, whole, opt, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := fingerprint(t, res, whole)
		for _, crash := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s after step %d", optimizer, crash), func(t *testing.T) {
				dir := t.TempDir()
				if _, err := runUntil(t, task, train, nil, dir, opt, crash, nil); !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
				again, err := runUntil(t, task, train, nil, dir, opt, 0, nil)
				if err != nil {
					t.Fatal(err)
				}
				if again.ResumedFrom != (crash-1)/2*2 || !bytes.Equal(fingerprint(t, again, dir), want) {
					t.Errorf("resumed from %d; or the result differs", again.ResumedFrom)
				}
			})
		}
	}
	// Where the moments live is no part of a run: another place may take it up.
	dir := t.TempDir()
	if _, err := runUntil(t, task, train, nil, dir, codedOptions(AdamW8bit), 3, nil); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if res, err := runUntil(t, task, train, nil, dir, codedOptions(PagedAdamW8bit), 0, nil); err != nil || res.ResumedFrom != 2 {
		t.Errorf("a paged run after one that was not: %v", err)
	}
	if _, err := runUntil(t, task, train, nil, dir, codedOptions(AdamW), 0, nil); !errors.Is(err, ErrOtherRun) || !strings.Contains(err.Error(), "optim") {
		t.Errorf("a run with moments in floats after one in codes: %v", err)
	}
}

func TestMomentsInCodesTrainLikeFloats(t *testing.T) {
	train := sentences(1, 20)
	float, err := runUntil(t, bigramsOf(codedWidth, 0), train, nil, t.TempDir(), codedOptions(AdamW), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	coded, err := runUntil(t, bigramsOf(codedWidth, 0), train, nil, t.TempDir(), codedOptions(AdamW8bit), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := float.Last("loss")
	b, _ := coded.Last("loss")
	if a == b || math.Abs(a-b) > 0.05*a {
		t.Errorf("the loss is %g with floats and %g with codes", a, b)
	}
}

func TestSmallTensorsKeepFloatMomentsAndPagedOnesNoMemory(t *testing.T) {
	dev := reference.New()
	defer dev.Close()
	for _, c := range []struct {
		optimizer string
		n         int
		coded     bool
		paged     bool
	}{
		{AdamW, coded8, false, false}, {AdamW8bit, coded8 - 1, false, false}, {AdamW8bit, coded8, true, false},
		{PagedAdamW8bit, coded8 - 1, false, true}, {PagedAdamW8bit, coded8 + 1, true, true}, {PagedAdamW, coded8, false, true},
	} {
		ms := newMoments(dev, c.optimizer, 64)
		m, err := ms.add(c.n)
		if err != nil {
			t.Fatal(err)
		}
		if m.code != c.coded || (m.max != nil) != c.coded || (m.buf == nil) != c.paged || (m.host != nil) != c.paged {
			t.Errorf("%s of %d elements: %+v", c.optimizer, c.n, m)
		}
		if c.coded && m.max.Len() != (c.n+device.StateBlock-1)/device.StateBlock {
			t.Errorf("%d elements have %d scales", c.n, m.max.Len())
		}
	}
}

func TestFailedAllocationsFreeWhatWasTaken(t *testing.T) {
	inner := cpu.New(cpu.Options{Threads: 1})
	defer inner.Close()
	for _, optimizer := range []string{AdamW8bit, PagedAdamW8bit} {
		for left := 0; ; left++ {
			dev := &counted{Device: inner, left: left}
			ms := newMoments(dev, optimizer, 32)
			_, err := newSlots(dev, bigramsOf(codedWidth, 0).Weights, device.Float, ms)
			if err == nil {
				if left < 6 {
					t.Errorf("%s takes %d allocations", optimizer, left)
				}
				break
			}
			if !errors.Is(err, device.ErrOutOfMemory) || dev.held != 0 {
				t.Fatalf("%s, allocation %d fails: %d are left, %v", optimizer, left, dev.held, err)
			}
		}
	}
}

// counted is a device that gives out so many buffers.
type counted struct {
	device.Device
	left, held int
}

func (d *counted) Alloc(t device.DType, n int) (device.Buffer, error) {
	if d.left == 0 {
		return nil, device.ErrOutOfMemory
	}
	d.left--
	d.held++
	return d.Device.Alloc(t, n)
}

func (d *counted) Free(b device.Buffer) { d.held--; d.Device.Free(b) }
