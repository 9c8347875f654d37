// Package finetune is the kind of step that fine-tunes a model on a data set.
package finetune

import (
	"context"
	"fmt"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/graph"
)

// Name of the kind.
const Name = "finetune"

// ChoiceName is the file that says which evaluation the model is of, where evaluations chose.
const ChoiceName = "choice.json"

// Body of a step.
type Body struct {
	BaseModel graph.Input     `yaml:"base_model" takes:"model" doc:"what is fine-tuned"`
	Dataset   graph.Input     `yaml:"dataset" takes:"data set" doc:"whose train split is trained on and whose val split is evaluated on"`
	Training  config.Training `yaml:"training" doc:"names and meanings of Hugging Face TrainingArguments and PEFT LoraConfig"`
	Numbers   config.Numbers  `yaml:"numbers" doc:"how models are held; what training says of it stands there"`
	MaxLength int             `yaml:"max_length" as:"data.max_length" doc:"tokens of a sequence that training.packing fills"`
	Seed      uint64          `yaml:"seed" doc:"of the weights, the shuffling and the dropout"`
}

// Options are what the engine gets.
type Options struct {
	BaseModel string // folder in Hugging Face form, or "org/name" of the Hub
	Dataset   string // folder that convert wrote
	OutDir    string // gets adapter/ (PEFT; not in full fine-tuning), merged/ (Hugging Face) and checkpoints/
	Training  config.Training
	MaxLength int // tokens of a sequence that Training.Packing fills
	Seed      uint64
}

// Engine does the work.
type Engine interface {
	Finetune(ctx context.Context, at graph.Place, o Options, sink graph.Sink) error
}

// Outputs names the folders that the engine writes: full fine-tuning has no adapter.
func Outputs(t config.Training) []string {
	if t.FinetuningType == "full" {
		return []string{"merged"}
	}
	return []string{"adapter", "merged"}
}

// Kind is the kind.
func Kind(e Engine) graph.Kind {
	return graph.Kind{
		Name: Name, Cost: graph.Costly, Checkpoints: "checkpoints",
		Body: func() any {
			d := config.Default()
			return &Body{Training: d.Training, Numbers: d.Numbers(), MaxLength: d.Data.MaxLength, Seed: d.Seed}
		},
		Gives: []graph.Output{{Name: "model", Type: graph.Model}, {Name: "adapter", Type: graph.Adapter}},
		Artifacts: []graph.Artifact{
			{File: "adapter/adapter_config.json", Path: "finetune/adapter_config.json", MediaType: "application/json"},
			{File: ChoiceName, Path: "finetune/" + ChoiceName, MediaType: "application/json"},
			{File: "adapter/adapter_model.safetensors", Path: "finetune/adapter_model.safetensors", MediaType: "application/octet-stream"},
		},
		Plan: plan,
		Run: func(ctx context.Context, w graph.Work) error {
			b := w.Body.(*Body)
			return e.Finetune(ctx, w.Place(&b.Numbers), Options{
				BaseModel: b.BaseModel.Path(), Dataset: b.Dataset.Path(), OutDir: w.Dir, Training: b.Training, MaxLength: b.MaxLength, Seed: b.Seed,
			}, w.Sink)
		},
	}
}

func plan(_ context.Context, p graph.Planning) (graph.Outline, error) {
	b := p.Body.(*Body)
	var err error
	if b.Numbers, err = b.Numbers.WithTraining(b.Training); err != nil {
		return graph.Outline{}, err
	}
	if b.Training.FinetuningType == "full" && b.Numbers.LoadIn8bit {
		return graph.Outline{}, experiments.Errorf(experiments.CodeInvalid, "training.finetuning_type: full trains the weights themselves, which numbers.load_in_8bit freezes: choose one")
	}
	parts := []any{b.Dataset.Key(), b.BaseModel.Key(), b.Training.Keyed(), b.Seed, p.Device, b.Numbers.Parts()}
	if length := fmt.Sprint(b.MaxLength); b.Training.Packing && b.Dataset.Fact("max_length") != length {
		parts = append(parts, length) // else the data set's key has it
	}
	key, err := graph.Key(Name, parts...)
	o := graph.Outline{Key: key, Files: Outputs(b.Training), Gives: map[string]string{}}
	for _, folder := range o.Files {
		name := folder
		if folder == "merged" {
			name = "model"
		}
		o.Gives[name] = folder
	}
	if b.Training.Chooses() {
		o.Files = append(o.Files, ChoiceName)
	}
	o.Facts = map[string]string{"max_length": fmt.Sprint(b.MaxLength)}
	return o, err
}
