package train

import (
	"errors"
	"fmt"
	"runtime"
	"slices"

	"triality/runtime/device"
	"triality/runtime/device/paper"
	"triality/runtime/lora"
	"triality/runtime/memory"
	"triality/runtime/model"
	"triality/runtime/safetensors"
)

// What a training's memory is for, as Memory names it.
const (
	SharedWeights     = "weights"
	SharedTrained     = "trained weights"
	SharedGradients   = "gradients"
	SharedStates      = "optimizer states"
	SharedActivations = "activations"
	SharedScratch     = "scratch and logits"
	SharedCopies      = "host copies"
	sharedBatches     = "batches"
	SharedReading     = "reading and checkpoints"
)

// Memory is what a training needs on its device and, for it, of the host's memory. Where the device is the
// processor, both are the host's.
type Memory struct{ Device, Host memory.Plan }

// PlanMemory says what Run with the same arguments needs, before anything is read or allocated: graphs are compiled
// for the longest batches and not run, and of the weights only the shapes are looked at. What the process has
// already, such as the examples, is not counted.
func PlanMemory(dev device.Device, cfg model.Config, shapes model.Source, set, eval []Example, opt Options) (Memory, error) {
	if err := errors.Join(opt.Validate(), cfg.CheckTrainable(), opt.loss().check(dev)); err != nil {
		return Memory{}, fmt.Errorf("train: %w", err)
	}
	var adapter *lora.Adapter
	switch {
	case opt.Adapter != nil:
		adapter = opt.Adapter
	case opt.LoRA != nil:
		var err error
		if adapter, err = lora.Empty(*opt.LoRA, cfg); err != nil {
			return Memory{}, fmt.Errorf("train: %w", err)
		}
	}
	on := paper.New(dev)
	task := Task{Vocab: cfg.VocabSize, Storage: opt.Storage.Matrices}
	var host memory.Plan
	var frozen *model.DeviceParams
	var err error
	on.For(SharedWeights)
	if adapter == nil {
		task.Weights = shapesOf(shapes)
		for _, w := range task.Weights {
			host.Add(SharedCopies, memory.Times(append([]int{4}, w.Shape...)...)) // as they were read
		}
		frozen, err = model.Reserve(on, cfg, noWeights{}, opt.Storage)
	} else {
		var trained []string
		cfg, shapes = adapter.Model(cfg, shapes)
		for _, t := range adapter.Tensors() {
			task.Weights = append(task.Weights, Weight{Name: t.Name, Shape: t.Shape})
			host.Add(SharedCopies, memory.Times(append([]int{4}, t.Shape...)...)) // the adapter's first values
			if t.Saved {
				trained = append(trained, t.Name)
			}
		}
		if frozen, err = model.Reserve(on, cfg, less{shapes, trained}, opt.Storage); err == nil {
			err = adapter.ReserveConstants(frozen)
			host.Add(SharedReading, memory.Times(4, adapter.ConstantElements()))
		}
	}
	if err != nil {
		return Memory{}, fmt.Errorf("train: %w", err)
	}
	host.Add(SharedReading, Reading(shapes))
	if opt.Scoring != nil && len(eval) > 0 {
		on.For(SharedActivations)
		if err := (&scored{opt.Scoring, on, cfg, adapter, frozen}).reserve(); err != nil {
			return Memory{}, fmt.Errorf("train: %w", err)
		}
	}
	task.Build = func(rows int, training bool) (*Program, error) {
		return languageProgram(cfg, adapter, frozen, rows, training, opt.loss())
	}
	m, err := PlanLoop(on, task, set, eval, opt, cfg)
	m.Host.Join(host)
	return m, err
}

// PlanLoop says what Loop needs beside what is on the paper already, which it counts too. The task's weights have
// shapes and no values. cfg is the model's: its width decides what operations take for themselves.
func PlanLoop(on *paper.Device, task Task, set, eval []Example, opt Options, cfg model.Config) (Memory, error) {
	fail := func(err error) (Memory, error) { return Memory{}, fmt.Errorf("train: %w", err) }
	if opt.EvalBatchSize == 0 {
		opt.EvalBatchSize = opt.BatchSize
	}
	ms := newMoments(on, opt.Optimizer, 32)
	slots, err := newSlots(on, task.Weights, task.Storage, ms)
	if err != nil {
		return fail(err)
	}
	ps := newPrograms(on, &task, slots.list, opt.Recompute)
	l := lengthsOf(newPlan(sequences(set, opt.Packing), opt.Epochs, opt.MaxSteps, opt.BatchSize, opt.GradientAccumulation, opt.Seed), set, eval, opt)
	on.For(SharedActivations)
	if err := ps.reserve(l); err != nil {
		return fail(err)
	}
	var fed int64 // of the longest program
	for _, c := range ps.held {
		var sum int64
		for _, leaf := range c.machine.Unset() {
			sum += paper.Bytes(c.machine.DType(leaf), leaf.Shape().TotalSize())
		}
		fed = max(fed, sum)
	}
	m := Memory{Device: on.OnDevice(), Host: on.OnHost()}
	m.Device.Add(sharedBatches, fed*int64(min(maxPrograms, l.distinct))+4) // and the square of the gradients' norm
	m.Device.Add(SharedScratch, Scratch(on, cfg, model.Storage{Matrices: task.Storage, Int8: opt.Storage.Int8, FP8: opt.Storage.FP8}, max(l.train, l.eval), true))
	largest := 0
	for _, w := range task.Weights {
		m.Host.Add(SharedCopies, memory.Times(append([]int{4}, w.Shape...)...)) // the result
		if opt.LoadBest {
			m.Host.Add(SharedCopies, 2*memory.Times(append([]int{4}, w.Shape...)...)) // the best so far, and a better one
		}
		largest = max(largest, w.elements())
	}
	m.Host.Add(SharedReading, memory.Times(16, largest)) // a checkpoint's tensor with its bytes, and the one before it
	m.Host.Add(sharedBatches, memory.Times(packedBytes, l.window+l.evalTokens))
	return m, nil
}

// packedBytes is what a packed token takes: six numbers of four bytes, and the loss weight.
const packedBytes = 32

// lengths are the numbers of rows of a run's batches.
type lengths struct {
	train, eval int // the most
	distinct    int // how many differ
	window      int // the most of all micro-batches of a step
	evalTokens  int // of the whole evaluation
}

// looked bounds the sequences whose batches are looked at one by one: an hour's training has fewer.
const looked = 10_000_000

// lengthsOf looks at every batch of every epoch, whose order is known; of a run with more than can be looked at in a
// moment, at what the longest sequences would make together.
func lengthsOf(p *plan, set, eval []Example, opt Options) lengths {
	var l lengths
	seen := map[programKey]bool{}
	rows := func(set []Example, indices []int) int {
		n := 0
		for _, i := range indices {
			n += len(set[i].IDs)
		}
		return (n + packMultiple - 1) / packMultiple * packMultiple
	}
	steps := p.total
	micro := min(p.accumulate, (len(p.sequences)+p.batch-1)/p.batch) // of a step
	if steps > looked/max(1, min(p.accumulate*p.batch, len(p.sequences))) {
		longest := make([]int, len(p.sequences))
		for i, s := range p.sequences {
			longest[i] = rows(set, s)
		}
		slices.Sort(longest)
		for _, n := range longest[max(0, len(longest)-p.batch):] {
			l.train += n
		}
		l.window, steps = l.train*micro, 0
		seen[programKey{l.train, true}] = true
	}
	for done := range steps {
		window := 0
		for _, micro := range p.window(done) {
			n := rows(set, micro)
			l.train, window = max(l.train, n), window+n
			seen[programKey{n, true}] = true
		}
		l.window = max(l.window, window)
	}
	for _, micro := range batches(sequences(eval, opt.Packing), opt.EvalBatchSize) {
		n := rows(eval, micro)
		l.eval, l.evalTokens = max(l.eval, n), l.evalTokens+n
		seen[programKey{n, false}] = true
	}
	l.distinct = len(seen)
	return l
}

// reserve compiles the longest programs, so that the arena is allocated once at its full size.
func (ps *programs) reserve(l lengths) error {
	for _, key := range []programKey{{l.eval, false}, {l.train, true}} {
		if key.rows > 0 {
			if _, err := ps.get(key.rows, key.training); err != nil {
				return err
			}
		}
	}
	return ps.arena.Ready()
}

// Scratch is what the operations of a model take for themselves over so many tokens, with gradients or without.
func Scratch(on *paper.Device, cfg model.Config, st model.Storage, tokens int, gradient bool) int64 {
	s, ok := on.StandsFor().(device.ScratchUser)
	if !ok {
		return 0
	}
	return s.ScratchBytes(device.Work{
		Tokens: tokens, Width: max(cfg.HiddenSize, cfg.IntermediateSize, cfg.Heads*cfg.HeadDim), Vocab: cfg.VocabSize,
		Int8: st.Quantized(), Gradient: gradient, Matrices: st.Matrices,
	})
}

// shapesOf are weights without values.
func shapesOf(src model.Source) []Weight {
	var out []Weight
	for _, name := range src.Names() {
		shape, _ := src.Shape(name)
		out = append(out, Weight{Name: name, Shape: shape})
	}
	return out
}

// noWeights is a model.Source without any.
type noWeights struct{}

func (noWeights) Names() []string                     { return nil }
func (noWeights) Shape(string) ([]int, bool)          { return nil, false }
func (noWeights) ReadAt(string, []float32, int) error { return nil }

// Reading is the memory that weights pass through on their way, two parts for each processor.
func Reading(src model.Source) int64 {
	part := 0
	for _, name := range src.Names() {
		shape, _ := src.Shape(name)
		for _, n := range safetensors.Parts(shape) {
			part = max(part, n)
			break
		}
	}
	return memory.Times(2*runtime.GOMAXPROCS(0), 4, part)
}
