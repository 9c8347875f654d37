package config

import (
	"strings"
	"testing"
)

func TestDevicesShareTheMicroBatchesOfAStepEvenly(t *testing.T) {
	for set, want := range map[string]string{
		"":                   "",
		"training.devices=1": "",
		"training.devices=2": "training.devices, training.gradient_accumulation_steps: 2 devices cannot share 1 micro-batches",
		"training.devices=3 training.gradient_accumulation_steps=4": "3 devices cannot share 4 micro-batches",
		"training.devices=4 training.gradient_accumulation_steps=8": "",
		"training.devices=0":     "training.devices: must be at least 1 and at most 64",
		"training.devices=65":    "training.devices: must be at least 1 and at most 64",
		"training.devices=[0,1]": "training.devices",
	} {
		_, err := Parse("job.yaml", []byte("data: {input_path: rows.jsonl}\nmodel: {base_model: base}\n"), strings.Fields(set)...)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", set, err, want)
		}
	}
}
