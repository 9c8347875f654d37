package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	G "gorgonia.org/gorgonia"

	"triality/runtime/device"
	"triality/runtime/device/reference"
	"triality/runtime/graph"
)

// sealed ends b with its checksum.
func sealed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(bytes.Clone(b), sum[:]...)
}

const (
	testVocab = 11
	testWidth = 4
)

// bigrams is a task small enough for exact comparisons: the next token from the present one, with
// dropout, by two matrices.
func bigrams(dropout float64) Task { return bigramsOf(testWidth, dropout) }

// bigramsOf is bigrams with matrices of another width.
func bigramsOf(testWidth int, dropout float64) Task {
	r := rand.New(rand.NewPCG(5, 5))
	weight := func(name string, decay bool) Weight {
		data := make([]float32, testVocab*testWidth)
		for i := range data {
			data[i] = float32(0.3 * r.NormFloat64())
		}
		return Weight{Name: name, Shape: []int{testVocab, testWidth}, Data: data, Decay: decay}
	}
	return Task{
		Weights: []Weight{weight("in", true), weight("out", false)},
		Vocab:   testVocab,
		Build: func(rows int, training bool) (*Program, error) {
			g := G.NewGraph()
			leaves := map[string]*G.Node{}
			var failed error
			leaf := func(name string, t device.DType, shape ...int) *G.Node {
				n, err := graph.Leaf(g, name, t, shape...)
				failed = errors.Join(failed, err)
				leaves[name] = n
				return n
			}
			in, out := leaf("in", device.Float, testVocab, testWidth), leaf("out", device.Float, testVocab, testWidth)
			ids, labels := leaf("ids", device.Int32, rows), leaf("labels", device.Int32, rows)
			share, key := leaf("share", device.Float, rows), leaf("key", device.Int32, 2)
			if failed != nil {
				return nil, failed
			}
			h, err := graph.Embedding(in, ids)
			if err == nil && training && dropout > 0 {
				h, err = graph.Dropout(h, key, 1, dropout)
			}
			if err != nil {
				return nil, err
			}
			nll, err := graph.CrossEntropy(h, out, labels)
			if err != nil {
				return nil, err
			}
			cost, err := graph.Dot(share, nll)
			return &Program{
				Cost: cost, Leaves: leaves, Parts: []Part{{"task", cost}},
				Bind: func(*graph.Machine) error { return nil },
				Feed: func(p *Packed, w *Window) ([]Input, error) {
					return []Input{{ids, p.IDs}, {labels, p.Labels}, {share, w.LossWeights(p)}, {key, w.DropoutKey[:]}}, nil
				},
			}, err
		},
		Monitor: func(weight func(string) ([]float32, error)) (map[string]float64, error) {
			w, err := weight("out")
			return map[string]float64{"first": float64(w[0])}, err
		},
	}
}

// sentences are sequences of 2 to 9 tokens in which each token tends to follow the one below it.
func sentences(seed uint64, n int) []Example {
	r := rand.New(rand.NewPCG(seed, 3))
	set := make([]Example, n)
	for i := range set {
		e := Example{IDs: []int32{int32(r.IntN(testVocab))}}
		for range 1 + r.IntN(8) {
			next := (e.IDs[len(e.IDs)-1] + 1) % testVocab
			if r.IntN(5) == 0 {
				next = int32(r.IntN(testVocab))
			}
			e.IDs = append(e.IDs, next)
		}
		e.Labels = append([]int32(nil), e.IDs...)
		if len(e.Labels) > 3 {
			e.Labels[1] = Masked
		}
		set[i] = e
	}
	return set
}

// journal is an observer that keeps what it is told.
type journal struct {
	starts      []Start
	records     []Record
	checkpoints []CheckpointEvent
	onRecord    func(Record)
}

func (j *journal) Start(s Start) { j.starts = append(j.starts, s) }
func (j *journal) Record(r Record) {
	j.records = append(j.records, r)
	if j.onRecord != nil {
		j.onRecord(r)
	}
}
func (j *journal) Checkpoint(e CheckpointEvent) { j.checkpoints = append(j.checkpoints, e) }

func (j *journal) steps(action string) (steps []int) {
	for _, e := range j.checkpoints {
		if e.Action == action {
			steps = append(steps, e.Step)
		}
	}
	return steps
}

func testOptions() Options {
	o := DefaultOptions()
	o.Epochs, o.BatchSize, o.GradientAccumulation, o.LearningRate = 3, 3, 2, 0.05
	o.WeightDecay, o.WarmupRatio, o.Scheduler, o.LoggingSteps, o.EvalSteps = 0.1, 0.1, "cosine", 3, 4
	o.SaveSteps, o.SaveTotalLimit, o.CheckpointInterval, o.Seed = 2, 3, 0, 77
	return o
}

var errCrash = errors.New("crash")

// runUntil runs the task and, where crash > 0, ends after that step as a crash would.
func runUntil(t *testing.T, task Task, train, eval []Example, dir string, opt Options, crash int, o Observer) (*Result, error) {
	t.Helper()
	dev := reference.New()
	defer dev.Close()
	r, err := newRunner(dev, task, train, eval, dir, opt, o)
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

func digestOf(t *testing.T, weights ...Weight) string {
	t.Helper()
	sum, err := hashWeights(weights)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// fingerprint is everything of a result that must not depend on interruptions, and the newest
// checkpoint's tensors with it.
func fingerprint(t *testing.T, res *Result, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, r := range res.Records {
		r.Timing = nil
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	for _, w := range res.Weights {
		b.WriteString(digestOf(t, w))
	}
	files, err := (&folder{dir: dir}).list()
	if err != nil || len(files) == 0 {
		t.Fatal("no checkpoint", err)
	}
	c, f, err := openCheckpoint(files[0].path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := os.ReadFile(filepath.Join(files[0].path))
	if err != nil {
		t.Fatal(err)
	}
	b.Write(raw[c.at[0] : len(raw)-sha256.Size]) // weights and moments
	return b.Bytes()
}

type clock struct{ at time.Time }

// now moves ten seconds a reading.
func (c *clock) now() time.Time { c.at = c.at.Add(10 * time.Second); return c.at }
