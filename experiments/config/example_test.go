package config_test

import (
	"fmt"

	"triality/experiments/config"
)

// A configuration is its file over the defaults, and overrides over both; every error names its line.
func ExampleParse() {
	file := "data:\n  input_path: rows.jsonl\nmodel:\n  base_model: Qwen/Qwen2.5-0.5B\ntraining:\n  lora_r: 8\n"
	cfg, err := config.Parse("mine.yaml", []byte(file), "training.learning_rate=1e-4")
	fmt.Println(cfg.Training.LoraR, cfg.Training.LearningRate, err)

	_, err = config.Parse("mine.yaml", []byte(file+"  lora_rnk: 8\n"))
	fmt.Println(err)
	// Output:
	// 8 0.0001 <nil>
	// mine.yaml:7: training.lora_rnk: unknown key; the nearest known key is training.lora_r
}
