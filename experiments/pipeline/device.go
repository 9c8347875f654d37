package pipeline

import (
	"errors"
	"fmt"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/cuda"
)

// OpenDevice opens the device that a configuration names. The notes say what was chosen and what the
// configuration asks for that the device does otherwise. auto takes an NVIDIA card where there is one
// that works, else the processor, and says why.
func OpenDevice(cfg config.Pipeline) (dev device.Device, notes []string, err error) {
	switch cfg.Device {
	case "cuda":
		if dev, err = openCUDA(cfg.Training); err != nil {
			return nil, nil, experiments.Errorf(experiments.CodeInvalid, "device: %w", err)
		}
	case "auto":
		if dev, err = openCUDA(cfg.Training); err != nil {
			if !errors.Is(err, cuda.ErrNoDriver) {
				notes = append(notes, fmt.Sprintf("no cuda device: %v", err))
			}
			dev = cpu.New(cpu.Options{Threads: cfg.Threads})
		}
	case "cpu":
		dev = cpu.New(cpu.Options{Threads: cfg.Threads})
	default:
		return nil, nil, experiments.Errorf(experiments.CodeInvalid, "device: want auto, cpu or cuda, have %q", cfg.Device)
	}
	i := dev.Info()
	what := i.Model
	if i.Threads > 0 {
		what += fmt.Sprintf(", %d threads, %s", i.Threads, i.SIMD)
	}
	notes = append(notes, fmt.Sprintf("%s: %s", i.Name, what))
	if i.Name == "cpu" && (cfg.Training.FP16 || cfg.Training.BF16) {
		notes = append(notes, "fp16/bf16: the cpu device computes in float32")
	}
	return dev, notes, nil
}

// openCUDA opens the first card. Weights and activations are float32; bf16 concerns matrix products.
func openCUDA(t config.Training) (device.Device, error) {
	o := cuda.Options{}
	switch {
	case t.BF16:
		o.Precision = cuda.BFloat16
	case t.FP16:
		return nil, errors.New("training.fp16: the cuda device multiplies in float32 or, with training.bf16, in bfloat16")
	}
	return cuda.Open(o)
}
