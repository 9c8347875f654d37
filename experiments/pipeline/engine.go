package pipeline

import (
	"fmt"
	"path/filepath"
	"strings"

	"triality/experiments"
	"triality/runtime/device"
	"triality/runtime/hub"
	"triality/runtime/model"
	"triality/runtime/sandbox"
	"triality/runtime/tokenizer"
	"triality/runtime/train"
)

// Engine runs the steps one by one. It holds what they share.
type Engine struct {
	Device  device.Device
	Storage model.Storage // how models are held on Device
	// Recompute is train.Options.Recompute of every training on Device.
	Recompute string
	// Config is how the models' config.json are read.
	Config  []model.Option
	Room    Room     // memory
	Notes   []string // what opening the device had to say
	Devices *Devices // of steps that run side by side; nil: Device alone
	Sandbox *sandbox.Host
	Hub     *hub.Options // where models named "org/name" come from; nil: what the HF_ variables say

	planned func(held int64, need train.Memory) // for tests; may be nil
}

// loadTokenizer reads a model folder's tokenizer; a folder without one is told what to add.
func loadTokenizer(dir string) (*tokenizer.Tokenizer, error) {
	if !exists(filepath.Join(dir, "tokenizer.json")) {
		return nil, experiments.Errorf(experiments.CodeInvalid,
			"%s: no tokenizer.json in the model folder; copy it from the model's Hugging Face page (tokenizer.model alone is not enough)", dir)
	}
	t, err := tokenizer.Load(dir)
	if err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	return t, nil
}

// invalid gives an error of the runtime a code: a bad model or dataset is the caller's to mend.
func invalid(err error) error {
	if err == nil {
		return nil
	}
	return experiments.Errorf(experiments.CodeInvalid, "%w", err)
}

// short is the start of a hash, for folder names and notes.
func short(hash string) string { return hash[:min(12, len(hash))] }

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, strings.TrimSuffix(noun, "s"))
}
