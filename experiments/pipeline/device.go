package pipeline

import (
	"errors"
	"fmt"

	"triality/experiments"
	"triality/experiments/config"
	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/device/cuda"
	"triality/runtime/model"
	"triality/runtime/train"
)

// OpenDevice opens the device that a configuration names. The notes say what was chosen and what the
// configuration asks for that the device does otherwise. auto takes an NVIDIA card where there is one
// that works, else the processor, and says why.
func OpenDevice(cfg config.Pipeline) (dev device.Device, notes []string, err error) {
	return OpenCard(cfg, 0)
}

// OpenCard is OpenDevice for a card by its number, as CUDA_VISIBLE_DEVICES counts them.
func OpenCard(cfg config.Pipeline, card int) (dev device.Device, notes []string, err error) {
	switch cfg.Device {
	case "cuda":
		if dev, err = cuda.Open(cuda.Options{Ordinal: card, MemoryLimit: int64(cfg.MemoryLimit), TF32: cfg.Training.TF32}); err != nil {
			return nil, nil, experiments.Errorf(experiments.CodeInvalid, "device: %w", err)
		}
	case "auto":
		if dev, err = cuda.Open(cuda.Options{Ordinal: card, MemoryLimit: int64(cfg.MemoryLimit), TF32: cfg.Training.TF32}); err != nil {
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
	if cfg.MemoryLimit > 0 && dev.Info().Name != "cuda" {
		notes = append(notes, fmt.Sprintf("device_memory_limit: the %s device has none", dev.Info().Name))
	}
	notes = append(notes, dev.Info().String())
	if dev.Info().Name == "cpu" && (cfg.Training.FP16 || cfg.Training.BF16) {
		notes = append(notes, "fp16/bf16: the cpu device computes in float32")
	}
	return dev, notes, nil
}

// OpenCards is OpenCard for cards that then train together.
func OpenCards(cfg config.Pipeline, cards ...int) (dev device.Device, notes []string, err error) {
	if len(cards) == 1 {
		return OpenCard(cfg, cards[0])
	}
	if cfg.Device == "cpu" {
		return nil, nil, experiments.Errorf(experiments.CodeInvalid, "device: cpu has no %d cards", len(cards))
	}
	g, err := cuda.OpenGroup(cuda.Options{MemoryLimit: int64(cfg.MemoryLimit), TF32: cfg.Training.TF32}, cards...)
	if err != nil {
		return nil, nil, experiments.Errorf(experiments.CodeInvalid, "device: %w", err)
	}
	return g, []string{fmt.Sprintf("%d × %s", len(cards), g.Info())}, nil
}

// Cards is how many NVIDIA cards this process may use; 0 on a machine without their driver.
func Cards() (int, error) {
	n, err := cuda.Count()
	if errors.Is(err, cuda.ErrNoDriver) || errors.Is(err, cuda.ErrNoDevice) {
		return 0, nil
	}
	return n, err
}

// deviceName is the name of the device that a configuration computes on, without opening one: auto takes a card where
// there is one.
func deviceName(cfg config.Pipeline) (string, error) {
	if cfg.Device != "auto" {
		return cfg.Device, nil
	}
	cards, err := Cards()
	if err != nil || cards == 0 {
		return "cpu", err
	}
	return "cuda", nil
}

// Recompute is the trainer's name for what training computes again instead of keeping.
func Recompute(t config.Training) string {
	if t.GradientCheckpointing {
		return t.CheckpointingPolicy
	}
	return train.RecomputeNone
}

// ModelConfig is how the configuration says that models' config.json are read.
func ModelConfig(cfg config.Pipeline) []model.Option {
	return []model.Option{model.AllowUnknown(cfg.Model.AllowUnknownConfig)}
}

// StorageOn is how a configuration's models are held on a device: the cpu device has no narrow floats.
func StorageOn(dev device.Device, cfg config.Pipeline) model.Storage {
	return storageOn(dev, cfg.Numbers())
}

func storageOn(dev device.Device, n config.Numbers) model.Storage {
	s := model.Storage{Int8: n.LoadIn8bit, Threshold: n.Int8Threshold, FP8: n.Quantization == config.FP8}
	switch {
	case dev.Info().Name == "cpu":
	case n.BF16:
		s.Matrices = device.BFloat16
	case n.FP16:
		s.Matrices = device.Float16
	}
	return s
}
