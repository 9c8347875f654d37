package cuda_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"triality/runtime/device"
	"triality/runtime/device/cuda"
	"triality/runtime/train"
)

// group opens n cards, after skipping the test where there are fewer.
func group(t testing.TB, n int) *cuda.Group {
	t.Helper()
	var cards []int
	for card := range n {
		cards = append(cards, card)
	}
	g, err := cuda.OpenGroup(cuda.Options{}, cards...)
	if lacking(err) || errors.Is(err, cuda.ErrNoNCCL) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func TestASumOverCardsIsTheSameOnAllAndEveryTime(t *testing.T) {
	g := group(t, 2)
	devices := g.Devices()
	for _, n := range []int{1, 7, 4096, 1_000_003, 40_000_000} {
		once := noise(1, 2_000_003)
		var first []float32
		for round := range 3 {
			var buffers []device.Buffer
			for r, dev := range devices {
				b, err := dev.Alloc(device.Float, n)
				if err != nil {
					t.Fatal(err)
				}
				for from := 0; from < n; from += 1_000_003 {
					part := b.Slice(from, min(n, from+1_000_003))
					if err := dev.Upload(part, once[r:r+part.Len()]); err != nil {
						t.Fatal(err)
					}
				}
				buffers = append(buffers, b)
			}
			if err := g.SumAll(buffers); err != nil {
				t.Fatal(err)
			}
			for r, dev := range devices {
				got := make([]float32, n)
				if err := dev.Download(got, buffers[r]); err != nil {
					t.Fatal(err)
				}
				dev.Free(buffers[r])
				if round == 0 && r == 0 {
					first = got
					for i, v := range got {
						want := 0.0
						for k := range devices {
							want += float64(once[k+i%1_000_003])
						}
						if math.Abs(float64(v)-want) > 1e-5*float64(len(devices)) {
							t.Fatalf("%d floats: [%d] is %g, want %g", n, i, v, want)
						}
					}
				}
				for i, v := range got {
					if math.Float32bits(v) != math.Float32bits(first[i]) {
						t.Fatalf("%d floats, round %d, card %d: [%d] is %g, on the first card %g", n, round, r, i, v, first[i])
					}
				}
			}
		}
	}
}

func TestTwoCardsTrainAsOneAndRepeatToTheBit(t *testing.T) {
	g := group(t, 2)
	two, again, one := lesson(t, g), lesson(t, g), lesson(t, g.Devices()[0])
	if len(two) != len(one) || len(two) < 12 {
		t.Fatalf("%d records, on one card %d", len(two), len(one))
	}
	for i, r := range two {
		if !maps.Equal(r.Values, again[i].Values) {
			t.Errorf("step %d: %v, in a second run %v", r.Step, r.Values, again[i].Values)
		}
		for name, v := range one[i].Values {
			if e := math.Abs(r.Values[name]-v) / max(math.Abs(v), 1e-6); !(e < 1e-3) {
				t.Errorf("step %d: %s is %v, on one card %v", r.Step, name, r.Values[name], v)
			}
		}
	}
}

// killedFolder names, for the process that is killed, the folder it trains in.
const killedFolder = "TRIALITY_TEST_KILLED_FOLDER"

// longLesson trains on the cards of a group with a checkpoint a step, in a folder: the digest of the adapter, and
// the step it resumed from.
func longLesson(t *testing.T, dev device.Device, dir string) (digest [32]byte, from int) {
	t.Helper()
	config, weights, set := pupil(t)
	o := pupilOptions()
	o.MaxSteps, o.SaveSteps, o.LoggingSteps = 600, 1, 100
	result, err := train.Run(context.Background(), dev, config, weights, set, nil, dir, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	for _, w := range result.Weights {
		if err := binary.Write(sum, binary.LittleEndian, w.Data); err != nil {
			t.Fatal(err)
		}
	}
	return [32]byte(sum.Sum(nil)), result.ResumedFrom
}

func TestTwoCardsKilledAtRandomMomentsEndWithTheSameBytes(t *testing.T) {
	if dir := os.Getenv(killedFolder); dir != "" {
		longLesson(t, group(t, 2), dir)
		return
	}
	want, _ := longLesson(t, group(t, 2), t.TempDir())
	dir := t.TempDir()
	for kill := range 4 { // each in a quarter of the steps, once a checkpoint of a random one of them is there
		at := 150*kill + 1 + rand.IntN(120)
		cmd := exec.Command(os.Args[0], "-test.run=^TestTwoCardsKilledAtRandomMomentsEndWithTheSameBytes$")
		cmd.Env = append(os.Environ(), killedFolder+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for wait := time.Now().Add(time.Minute); newestCheckpoint(dir) < at; time.Sleep(time.Millisecond) {
			if time.Now().After(wait) {
				t.Fatalf("after a minute the newest checkpoint is of step %d, not of %d", newestCheckpoint(dir), at)
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // killed
		t.Logf("killed after step %d, with a checkpoint of step %d", at, newestCheckpoint(dir))
	}
	got, from := longLesson(t, group(t, 2), dir)
	if from == 0 || from >= 600 {
		t.Errorf("the last run resumed from step %d of 600", from)
	}
	if got != want {
		t.Errorf("killed, and resumed from step %d, the result differs", from)
	}
	t.Logf("the last run resumed from step %d of 600", from)
}

// newestCheckpoint is the step of the newest checkpoint in a folder; 0: there is none.
func newestCheckpoint(dir string) (step int) {
	names, _ := filepath.Glob(filepath.Join(dir, "checkpoint-*.ckpt")) // the pattern is good
	for _, name := range names {
		var n int
		if _, err := fmt.Sscanf(filepath.Base(name), "checkpoint-%d.ckpt", &n); err == nil {
			step = max(step, n)
		}
	}
	return step
}
