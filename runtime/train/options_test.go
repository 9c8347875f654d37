package train

import (
	"math"
	"strings"
	"testing"
	"time"

	"triality/runtime/lora"
)

func TestValidateNamesTheFieldAsTheConfigurationDoes(t *testing.T) {
	if err := DefaultOptions().Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	tests := map[string]func(*Options){
		"num_train_epochs":            func(o *Options) { o.Epochs = math.NaN() },
		"max_steps":                   func(o *Options) { o.MaxSteps = -1 },
		"per_device_train_batch_size": func(o *Options) { o.BatchSize = 0 },
		"per_device_eval_batch_size":  func(o *Options) { o.EvalBatchSize = -1 },
		"gradient_accumulation_steps": func(o *Options) { o.GradientAccumulation = 0 },
		"learning_rate":               func(o *Options) { o.LearningRate = math.Inf(1) },
		"weight_decay":                func(o *Options) { o.WeightDecay = -0.1 },
		"warmup_ratio":                func(o *Options) { o.WarmupRatio = 1.5 },
		"lr_scheduler_type":           func(o *Options) { o.Scheduler = "cosin" },
		"adam_beta1":                  func(o *Options) { o.Beta1 = 1 },
		"adam_beta2":                  func(o *Options) { o.Beta2 = -1 },
		"adam_epsilon":                func(o *Options) { o.Epsilon = 0 },
		"max_grad_norm":               func(o *Options) { o.MaxGradNorm = -1 },
		"optim":                       func(o *Options) { o.Optimizer = "sgd" },
		"gradient_checkpointing":      func(o *Options) { o.Recompute = "some" },
		"logging_steps":               func(o *Options) { o.LoggingSteps = -1 },
		"eval_steps":                  func(o *Options) { o.EvalSteps = -1 },
		"save_steps":                  func(o *Options) { o.SaveSteps = -1 },
		"save_total_limit":            func(o *Options) { o.SaveTotalLimit = -1 },
		"checkpoint_interval":         func(o *Options) { o.CheckpointInterval = -1 },
		"lora_r":                      func(o *Options) { o.LoRA = &lora.Config{Alpha: 1, TargetModules: []string{"q_proj"}} },
	}
	for field, spoil := range tests {
		t.Run(field, func(t *testing.T) {
			o := DefaultOptions()
			spoil(&o)
			err := o.Validate()
			if err == nil || !strings.HasPrefix(err.Error(), field+": ") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWhatIsJustAllowedIsValid(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"batches and steps of one":          func(o *Options) { o.BatchSize, o.GradientAccumulation, o.MaxSteps, o.Epochs = 1, 1, 1, 0 },
		"warm-up from first to last":        func(o *Options) { o.WarmupRatio = 1 },
		"neither warm-up nor averages":      func(o *Options) { o.WarmupRatio, o.Beta1, o.Beta2 = 0, 0, 0 },
		"no rate, decay or clipping":        func(o *Options) { o.LearningRate, o.WeightDecay, o.MaxGradNorm = 0, 0, 0 },
		"nothing but at the end":            func(o *Options) { o.LoggingSteps, o.EvalSteps, o.SaveSteps, o.CheckpointInterval = 0, 0, 0, 0 },
		"every checkpoint is kept":          func(o *Options) { o.SaveTotalLimit = 0 },
		"evaluation and packing by default": func(o *Options) { o.EvalBatchSize, o.Packing = 0, 0 },
	} {
		o := DefaultOptions()
		if change(&o); o.Validate() != nil {
			t.Errorf("%s: %v", name, o.Validate())
		}
	}
	o := DefaultOptions()
	if o.Beta2 = 1; o.Validate() == nil {
		t.Error("an average that nothing enters is accepted")
	}
	if d := DefaultOptions().CheckpointInterval; d != 5*time.Minute {
		t.Errorf("the defaults write a checkpoint every %v", d)
	}
}

func TestAnAdapterToTrainOnExcludesANewOne(t *testing.T) {
	o := DefaultOptions()
	c := lora.Config{R: 2, Alpha: 1, TargetModules: []string{"q_proj"}}
	o.LoRA, o.Adapter = &c, &lora.Adapter{Config: c}
	if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), "lora_r: ") {
		t.Errorf("got %v", err)
	}
	o.LoRA = nil
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	o.Adapter.R = 0
	if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), "lora_r: ") {
		t.Errorf("got %v", err)
	}
}

func TestValidateReportsEveryFaultAtOnce(t *testing.T) {
	err := Options{}.Validate()
	for _, field := range []string{"num_train_epochs", "per_device_train_batch_size", "lr_scheduler_type", "adam_epsilon"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in %v", field, err)
		}
	}
}
