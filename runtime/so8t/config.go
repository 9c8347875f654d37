package so8t

import (
	"errors"
	"fmt"
	"math"

	"triality/runtime/model"
	"triality/runtime/train"
)

// Config configures replacement and the training that may follow it.
type Config struct {
	// Epochs of supervised training of the rotations, scales and the two heads after replacement;
	// the source model stays frozen. 0 replaces only.
	Epochs               float64 `yaml:"num_train_epochs"`
	BatchSize            int     `yaml:"per_device_train_batch_size"`
	EvalBatchSize        int     `yaml:"per_device_eval_batch_size"`
	GradientAccumulation int     `yaml:"gradient_accumulation_steps"`
	Packing              int     `yaml:"packing"` // tokens; train.Options.Packing
	LearningRate         float64 `yaml:"learning_rate"`
	WeightDecay          float64 `yaml:"weight_decay"` // on the two heads only
	WarmupRatio          float64 `yaml:"warmup_ratio"`
	Scheduler            string  `yaml:"lr_scheduler_type"`
	MaxGradNorm          float64 `yaml:"max_grad_norm"`
	LoggingSteps         int     `yaml:"logging_steps"`
	EvalSteps            int     `yaml:"eval_steps"`
	SaveSteps            int     `yaml:"save_steps"`
	SaveTotalLimit       int     `yaml:"save_total_limit"`
	Seed                 uint64  `yaml:"seed"`
	// Storage is how the models are held on the device.
	Storage model.Storage `yaml:"-"`
	// ModelConfig is how the source's config.json is read.
	ModelConfig []model.Option `yaml:"-"`
	// Recompute is train.Options.Recompute: it saves memory and changes no result.
	Recompute string `yaml:"-"`

	PETLambda       float64 `yaml:"pet_lambda"`       // weight of the PET term; 0 leaves it out
	SafetyWeight    float64 `yaml:"safety_weight"`    // weight of the safety head's cross-entropy
	AuthorityWeight float64 `yaml:"authority_weight"` // weight of the authority head's cross-entropy
	TaskWeight      float64 `yaml:"task_weight"`      // weight of the answer's cross-entropy

	// Tolerance is the largest logit difference to the source that replacement accepts, relative to
	// the largest logit; 0 = that of the storage type (see Tolerance).
	Tolerance float64 `yaml:"tolerance"`
}

// DefaultConfig replaces without training. The training values apply once Epochs is set: the gates
// have few parameters and start at the identity, so the rate is that of heads, not of adapters.
func DefaultConfig() Config {
	o := train.DefaultOptions()
	return Config{
		Epochs: 0, BatchSize: o.BatchSize, GradientAccumulation: 1, LearningRate: 1e-3, WarmupRatio: 0.03, Scheduler: "cosine",
		MaxGradNorm: o.MaxGradNorm, LoggingSteps: o.LoggingSteps, SaveSteps: o.SaveSteps, SaveTotalLimit: o.SaveTotalLimit, Seed: o.Seed,
		PETLambda: 0.01, SafetyWeight: 1, AuthorityWeight: 1, TaskWeight: 1,
	}
}

// options are the trainer's.
func (c Config) options() train.Options {
	o := train.DefaultOptions()
	o.Epochs, o.BatchSize, o.EvalBatchSize, o.GradientAccumulation = c.Epochs, c.BatchSize, c.EvalBatchSize, c.GradientAccumulation
	o.Packing = c.Packing
	o.LearningRate, o.WeightDecay, o.WarmupRatio, o.Scheduler = c.LearningRate, c.WeightDecay, c.WarmupRatio, c.Scheduler
	o.MaxGradNorm, o.LoggingSteps, o.EvalSteps = c.MaxGradNorm, c.LoggingSteps, c.EvalSteps
	o.SaveSteps, o.SaveTotalLimit, o.Seed = c.SaveSteps, c.SaveTotalLimit, c.Seed
	o.Recompute = c.Recompute
	return o
}

// Validate returns every fault, each under the field's configuration name.
func (c Config) Validate() error {
	var faults []error
	positive := func(field string, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
			faults = append(faults, fmt.Errorf("%s: %v: must be a number, at least 0", field, v))
		}
	}
	positive("num_train_epochs", c.Epochs)
	positive("pet_lambda", c.PETLambda)
	positive("safety_weight", c.SafetyWeight)
	positive("authority_weight", c.AuthorityWeight)
	positive("task_weight", c.TaskWeight)
	positive("tolerance", c.Tolerance)
	if c.Epochs > 0 {
		if c.SafetyWeight == 0 && c.AuthorityWeight == 0 && c.TaskWeight == 0 {
			faults = append(faults, errors.New("task_weight, safety_weight and authority_weight are all 0: nothing is trained"))
		}
		if err := c.options().Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}
