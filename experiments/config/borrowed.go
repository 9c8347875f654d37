package config

import "strings"

// borrowed answers keys that people bring from other trainers and that mean nothing here, by their last
// part: what to do instead. The nearest known key would mislead.
var borrowed = map[string]string{
	"max_steps":                     "give training.num_train_epochs; fractions are allowed",
	"warmup_steps":                  "give training.warmup_ratio, the share of all steps",
	"epochs":                        "it is training.num_train_epochs",
	"num_epochs":                    "it is training.num_train_epochs",
	"lr":                            "it is training.learning_rate",
	"batch_size":                    "it is training.per_device_train_batch_size",
	"micro_batch_size":              "it is training.per_device_train_batch_size",
	"train_batch_size":              "it is training.per_device_train_batch_size",
	"eval_batch_size":               "it is training.per_device_eval_batch_size",
	"cutoff_len":                    "it is data.max_length",
	"max_seq_length":                "it is data.max_length",
	"model_max_length":              "it is data.max_length",
	"sequence_len":                  "it is data.max_length",
	"model_name_or_path":            "it is model.base_model",
	"base_model_name_or_path":       "it is model.base_model",
	"dataset_name":                  "give data.input_path, four-class JSONL files on this machine",
	"train_file":                    "it is data.input_path",
	"validation_file":               "the validation split is data.val_ratio of data.input_path",
	"r":                             "it is training.lora_r",
	"lora_rank":                     "it is training.lora_r",
	"target_modules":                "it is training.lora_target_modules",
	"exclude_modules":               "it is training.lora_exclude_modules",
	"modules_to_save":               "it is training.lora_modules_to_save",
	"rank_pattern":                  "it is training.lora_rank_pattern",
	"alpha_pattern":                 "it is training.lora_alpha_pattern",
	"layers_to_transform":           "it is training.lora_layers_to_transform",
	"layers_pattern":                "it is training.lora_layers_pattern",
	"optimizer":                     "it is training.optim",
	"scheduler":                     "it is training.lr_scheduler_type",
	"lr_scheduler":                  "it is training.lr_scheduler_type",
	"gradient_clipping":             "it is training.max_grad_norm",
	"load_in_4bit":                  "there is no 4-bit training; model.quantization: fp8 or model.load_in_8bit hold frozen weights in 8 bits",
	"quantization_config":           "model.quantization: fp8 or model.load_in_8bit hold frozen weights in 8 bits",
	"class_weight":                  "it is training.class_weights: none, balanced or a mapping of labels to weights",
	"label_smoothing_factor":        "it is training.label_smoothing, which is over the four classes and not over the vocabulary",
	"label_smoothing_epsilon":       "it is training.label_smoothing, which is over the four classes and not over the vocabulary",
	"focal_loss":                    "give training.focal_gamma",
	"gamma":                         "the focal loss has training.focal_gamma",
	"temperature_scaling":           "it is test.calibration: temperature",
	"threshold":                     "give test.thresholds, which are fitted on the validation split",
	"neftune_noise_alpha":           "embeddings get no noise",
	"load_best_model_at_end":        "it is training.load_best, by training.metric_for_best, at evaluations every training.eval_steps",
	"metric_for_best_model":         "it is training.metric_for_best: eval/loss, eval/accuracy, eval/macro_f1, eval/log_loss or eval/ece",
	"greater_is_better":             "leave it out: it follows from training.metric_for_best",
	"early_stopping":                "give training.early_stopping_patience, in evaluations every training.eval_steps",
	"patience":                      "it is training.early_stopping_patience, in evaluations every training.eval_steps",
	"early_stopping_min_delta":      "it is training.early_stopping_threshold",
	"max_eval_samples":              "it is training.eval_rows, for the figures of answers; eval/loss is over the whole validation split",
	"resume_from_checkpoint":        "leave it out: the same command resumes by itself",
	"overwrite_output_dir":          "leave it out: a step's folder is named by its key and nothing is overwritten",
	"evaluation_strategy":           "give training.eval_steps",
	"eval_strategy":                 "give training.eval_steps",
	"save_strategy":                 "give training.save_steps or training.checkpoint_interval",
	"logging_strategy":              "give training.logging_steps",
	"logging_dir":                   "leave it out: the tracker keeps every run's log",
	"report_to":                     "leave it out: every run is tracked here",
	"run_name":                      "give --name to `triality run`",
	"push_to_hub":                   "use `triality hub upload FOLDER org/name` afterwards",
	"hub_model_id":                  "use `triality hub upload FOLDER org/name` afterwards",
	"dataloader_num_workers":        "leave it out: rows are tokenized before training",
	"group_by_length":               "training.packing fills micro-batches instead",
	"sample_packing":                "it is training.packing",
	"torch_compile":                 "leave it out: the graph is compiled once for each shape",
	"torch_dtype":                   "give training.bf16 or training.fp16",
	"dtype":                         "give training.bf16 or training.fp16",
	"deepspeed":                     "training.devices shares a step among cards, each with the whole model",
	"fsdp":                          "training.devices shares a step among cards, each with the whole model",
	"use_cpu":                       "it is device: cpu",
	"no_cuda":                       "it is device: cpu",
	"trust_remote_code":             "no code of a model is run; the families that can be read are in docs/families.md",
	"attn_implementation":           "leave it out: attention is the device's own",
	"gradient_checkpointing_kwargs": "it is training.gradient_checkpointing_policy",
	"use_cache":                     "leave it out: training keeps no cache, generation always does",
	"peft_type":                     "it is training.finetuning_type: lora",
	"wandb_project":                 "leave it out: every run is tracked here, in the experiment that `name` gives",
}

// answer says what to do about an unknown key.
func (l *loader) answer(unknown string) string {
	if l.keys != nil { // of a struct of its own, in which the pipeline's keys have no place
		return suggest(unknown, l.keys)
	}
	_, last := split(unknown)
	if text, ok := borrowed[strings.ToLower(last)]; ok {
		return "; " + text
	}
	return suggest(unknown, Keys())
}
