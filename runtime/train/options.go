package train

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"triality/runtime/lora"
	"triality/runtime/model"
)

// Options configures a run. The names in comments are those of the configuration files and of
// Validate's errors.
type Options struct {
	Epochs               float64 // num_train_epochs; a fraction is allowed
	MaxSteps             int     // max_steps: optimizer steps instead of Epochs; 0 = off
	BatchSize            int     // per_device_train_batch_size, in sequences
	EvalBatchSize        int     // per_device_eval_batch_size; 0 = BatchSize
	GradientAccumulation int     // gradient_accumulation_steps, in micro-batches
	Packing              int     // packing: tokens up to which examples are put together into a sequence; 0 = each is one

	LearningRate float64 // learning_rate
	WeightDecay  float64 // weight_decay; not on norms and biases
	WarmupRatio  float64 // warmup_ratio, of the total steps
	Scheduler    string  // lr_scheduler_type: cosine, linear or constant
	Beta1, Beta2 float64 // adam_beta1, adam_beta2
	Epsilon      float64 // adam_epsilon
	MaxGradNorm  float64 // max_grad_norm; 0 = no clipping
	Optimizer    string  // optim: AdamW (also ""), AdamW8bit, PagedAdamW or PagedAdamW8bit

	// Recompute says what of the forward pass is computed again for the gradient instead of kept:
	// RecomputeNone (also ""), RecomputeSelective or RecomputeLayer. The results have the same bytes.
	Recompute string

	LoggingSteps       int           // logging_steps; 0 = only at the end
	EvalSteps          int           // eval_steps; 0 = only at the end
	SaveSteps          int           // save_steps; 0 = by CheckpointInterval and at the end
	SaveTotalLimit     int           // save_total_limit: checkpoints kept; 0 = all
	CheckpointInterval time.Duration // checkpoint_interval; 0 = off

	// FocalGamma makes the loss of each token the focal loss of that gamma (Lin et al. 2017). LabelSmoothing is the share of
	// the target of each example's first trained token that is spread evenly over ClassTokens, the tokens that labels begin
	// with (Szegedy et al. 2016). Both are Run's, and of training alone: evaluations have the plain loss. 0 = off.
	FocalGamma     float64 // focal_gamma
	LabelSmoothing float64 // label_smoothing
	ClassTokens    []int32

	// Scoring, where not nil, adds figures of the model's answers to each evaluation. It is Run's: Loop takes none.
	Scoring *Scoring
	// LoadBest has the result be the weights of the best evaluation, by MetricForBest: the name of one of its values,
	// eval_loss where it is empty. Training ends after EarlyStoppingPatience successive evaluations that were no better by
	// more than EarlyStoppingThreshold; 0 = never.
	LoadBest               bool    // load_best
	MetricForBest          string  // metric_for_best
	GreaterIsBetter        bool    // of MetricForBest
	EarlyStoppingPatience  int     // early_stopping_patience
	EarlyStoppingThreshold float64 // early_stopping_threshold

	Seed uint64 // seed of the data order, dropout and new adapters

	// Storage is how the model is held on the device.
	Storage model.Storage

	// LoRA trains an adapter with the model frozen; nil trains the whole model.
	LoRA *lora.Config
	// Adapter is trained on instead, from the values it has; it is not changed. LoRA is then nil.
	Adapter *lora.Adapter
}

// Values of Options.Optimizer. With 8 bits, tensors of at least 4,096 elements have moments in 8-bit
// codes (Dettmers et al. 2021); paged ones live in the host's memory, with the same results.
const (
	AdamW          = "adamw"
	AdamW8bit      = "adamw_8bit"
	PagedAdamW     = "paged_adamw"
	PagedAdamW8bit = "paged_adamw_8bit"
)

// Values of Options.Recompute. Selective keeps each layer's output, and the results of products and
// attention (Korthikanti et al. 2022); layer keeps the outputs alone (Chen et al. 2016).
const (
	RecomputeNone      = "none"
	RecomputeSelective = "selective"
	RecomputeLayer     = "layer"
)

// DefaultOptions are those of transformers' TrainingArguments where it has them; a checkpoint is
// written every five minutes and two are kept.
func DefaultOptions() Options {
	return Options{
		Epochs: 3, BatchSize: 8, GradientAccumulation: 1,
		LearningRate: 5e-5, Scheduler: "linear", Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, MaxGradNorm: 1,
		LoggingSteps: 10, SaveSteps: 500, SaveTotalLimit: 2, CheckpointInterval: 5 * time.Minute, Seed: 42,
	}
}

// Validate returns every fault of the options, each under the field's configuration name.
func (o Options) Validate() error {
	var faults []error
	want := func(ok bool, field string, value any, rule string) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %v: %s", field, value, rule))
		}
	}
	finite := func(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
	want(o.MaxSteps >= 0, "max_steps", o.MaxSteps, "must not be negative")
	want(o.MaxSteps > 0 || finite(o.Epochs) && o.Epochs > 0, "num_train_epochs", o.Epochs, "must be more than 0")
	want(o.BatchSize > 0, "per_device_train_batch_size", o.BatchSize, "must be at least 1")
	want(o.EvalBatchSize >= 0, "per_device_eval_batch_size", o.EvalBatchSize, "must not be negative")
	want(o.Packing >= 0, "packing", o.Packing, "must not be negative (0 = off)")
	want(o.GradientAccumulation > 0, "gradient_accumulation_steps", o.GradientAccumulation, "must be at least 1")
	want(finite(o.LearningRate) && o.LearningRate >= 0, "learning_rate", o.LearningRate, "must be a number, at least 0")
	want(finite(o.WeightDecay) && o.WeightDecay >= 0, "weight_decay", o.WeightDecay, "must be a number, at least 0")
	want(o.WarmupRatio >= 0 && o.WarmupRatio <= 1, "warmup_ratio", o.WarmupRatio, "must be between 0 and 1")
	if _, err := newSchedule(o.Scheduler, 0, 0, 0); err != nil {
		faults = append(faults, err)
	}
	want(o.Beta1 >= 0 && o.Beta1 < 1, "adam_beta1", o.Beta1, "must be at least 0 and less than 1")
	want(o.Beta2 >= 0 && o.Beta2 < 1, "adam_beta2", o.Beta2, "must be at least 0 and less than 1")
	want(finite(o.Epsilon) && o.Epsilon > 0, "adam_epsilon", o.Epsilon, "must be more than 0")
	want(finite(o.MaxGradNorm) && o.MaxGradNorm >= 0, "max_grad_norm", o.MaxGradNorm, "must be a number, at least 0 (0 = off)")
	want(slices.Contains([]string{"", AdamW, AdamW8bit, PagedAdamW, PagedAdamW8bit}, o.Optimizer), "optim", o.Optimizer, "must be adamw, adamw_8bit, paged_adamw or paged_adamw_8bit")
	want(slices.Contains([]string{"", RecomputeNone, RecomputeSelective, RecomputeLayer}, o.Recompute), "gradient_checkpointing", o.Recompute, "must be none, selective or layer")
	want(o.LoggingSteps >= 0, "logging_steps", o.LoggingSteps, "must not be negative")
	want(o.EvalSteps >= 0, "eval_steps", o.EvalSteps, "must not be negative")
	want(o.SaveSteps >= 0, "save_steps", o.SaveSteps, "must not be negative")
	want(o.SaveTotalLimit >= 0, "save_total_limit", o.SaveTotalLimit, "must not be negative (0 keeps all)")
	want(o.CheckpointInterval >= 0, "checkpoint_interval", o.CheckpointInterval, "must not be negative (0 = off)")
	if o.LoRA != nil {
		if err := o.LoRA.Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	want(o.LoRA == nil || o.Adapter == nil, "lora_r", "set", "there is an adapter to train on, which has its own")
	if o.Adapter != nil {
		if err := o.Adapter.Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(append(faults, o.lossFaults(), o.chooseFaults())...)
}

// identity lists what decides the bytes of the result. When checkpoints are written does not.
func (o Options) identity() map[string]string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	id := map[string]string{
		"num_train_epochs":            number(o.Epochs),
		"max_steps":                   strconv.Itoa(o.MaxSteps),
		"per_device_train_batch_size": strconv.Itoa(o.BatchSize),
		"per_device_eval_batch_size":  strconv.Itoa(o.EvalBatchSize),
		"gradient_accumulation_steps": strconv.Itoa(o.GradientAccumulation),
		"learning_rate":               number(o.LearningRate),
		"weight_decay":                number(o.WeightDecay),
		"warmup_ratio":                number(o.WarmupRatio),
		"lr_scheduler_type":           o.Scheduler,
		"adam_beta1":                  number(o.Beta1),
		"adam_beta2":                  number(o.Beta2),
		"adam_epsilon":                number(o.Epsilon),
		"max_grad_norm":               number(o.MaxGradNorm),
		"logging_steps":               strconv.Itoa(o.LoggingSteps),
		"eval_steps":                  strconv.Itoa(o.EvalSteps),
		"seed":                        strconv.FormatUint(o.Seed, 10),
	}
	o.chooseIdentity(id, number)
	o.loss().identity(id, number)
	if o.Packing > 0 {
		id["packing"] = strconv.Itoa(o.Packing)
	}
	if o.Optimizer == AdamW8bit || o.Optimizer == PagedAdamW8bit {
		id["optim"] = AdamW8bit // where its states live changes nothing
	}
	return id
}
