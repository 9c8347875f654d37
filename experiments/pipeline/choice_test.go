package pipeline

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
)

// choices are the whole runs that have, between them, every value of every key that takes one of a few,
// and every switch on. The other keys are as in smallYAML.
var choices = []struct {
	name string
	set  map[string]string
}{
	{"full fine-tuning in the format chat", map[string]string{
		"device": "cpu", "data.format_type": "chat", "data.audit": "warn", "model.create.shape": "", "training.lr_scheduler_type": "linear",
		"training.gradient_checkpointing": "true", "training.gradient_checkpointing_policy": "layer",
		"training.optim": "adamw_torch", "training.finetuning_type": "full", "training.metric_for_best": "eval/loss", "training.load_best": "true", "training.eval_steps": "2", "report.language": "ja", "test.calibration": "none", "test.thresholds": "none", "training.packing": "true",
		"test.design.claim": "superiority", "test.design.looks": "once",
	}},
	{"DoRA on int8 weights in the format completion", map[string]string{
		"device": "auto", "data.format_type": "completion", "data.audit": "redact", "model.create.shape": "tiny", "training.lr_scheduler_type": "constant",
		"training.gradient_checkpointing": "true", "training.gradient_checkpointing_policy": "selective",
		"training.optim": "adamw_8bit", "training.finetuning_type": "lora", "report.language": "en", "test.calibration": "temperature", "test.thresholds": "macro_f1",
		"test.design.claim": "non_inferiority", "test.design.margin": "0.05", "test.design.looks": "any",
		"training.metric_for_best": "eval/accuracy", "training.early_stopping_patience": "1", "training.eval_steps": "2", "training.label_smoothing": "0.1",
		"model.load_in_8bit": "true", "training.use_dora": "true", "training.bf16": "true", "so8t.packing": "true",
		"training.lora_target_modules": `.*\.(q|v)_proj`, "training.lora_modules_to_save": "[lm_head, model.norm]",
	}},
	{"rsLoRA with paged states", map[string]string{
		"device": "cpu", "data.format_type": "instruction", "data.audit": "refuse", "model.create.shape": "micro", "training.lr_scheduler_type": "cosine", "model.quantization": "none",
		"training.optim": "paged_adamw_32bit", "training.finetuning_type": "lora",
		"training.metric_for_best": "eval/macro_f1", "training.load_best": "true", "training.eval_steps": "2", "training.class_weights": "balanced", "test.thresholds": "false_allow", "test.false_allow_limit": "0.1",
		"test.design.claim": "equivalence", "test.design.margin": "0.1", "test.design.primary": "macro_f1", "test.design.unit": "row",
		"model.allow_unknown_config": "true", "training.use_rslora": "true", "training.fp16": "true", "training.tf32": "true", "data.strict": "true",
		"training.lora_target_modules": "[q_proj, up_proj, lm_head, embed_tokens]", "training.lora_exclude_modules": "0.mlp.up_proj",
		"training.lora_rank_pattern": "{lm_head: 1}", "training.lora_alpha_pattern": "{lm_head: 2}",
		"training.lora_layers_to_transform": "1", "training.lora_layers_pattern": "layers",
	}},
	{"full fine-tuning with paged states in 8 bits", map[string]string{
		"device": "cpu", "data.format_type": "completion", "data.audit": "off", "model.create.shape": "micro",
		"training.optim": "paged_adamw_8bit", "training.finetuning_type": "full",
		"training.metric_for_best": "eval/log_loss", "training.load_best": "true", "training.eval_steps": "2", "training.class_weights": "{ALLOW: 2}", "training.focal_gamma": "2", "test.thresholds": "accuracy",
	}},
	{"a middling shape", large("mini")}, {"the largest shape", large("small")},
	{"on fp8 weights", map[string]string{
		"device": "cpu", "data.audit": "", "model.create.shape": "micro", "model.quantization": "fp8", "training.bf16": "true",
		"training.metric_for_best": "eval/ece", "training.load_best": "true", "training.eval_steps": "2",
	}},
	{"on a card", map[string]string{"device": "cuda", "model.create.shape": "micro"}},
}

// large is a run of a shape that is large for a test: little is trained of it.
func large(shape string) map[string]string {
	return map[string]string{
		"device": "cpu", "model.create.shape": shape, "model.create.num_train_epochs": "0", "so8t.num_train_epochs": "0",
		"training.per_device_train_batch_size": "6",
	}
}

func TestEveryValueOfEveryChoiceIsInARun(t *testing.T) {
	for _, c := range config.Choices() {
		for _, v := range c.Values {
			if !slices.ContainsFunc(choices, func(r struct {
				name string
				set  map[string]string
			}) bool {
				have, ok := r.set[c.Key]
				return ok && have == v
			}) {
				t.Errorf("no run has %s: %q; put it into choices", c.Key, v)
			}
		}
	}
	known := map[string]bool{}
	for _, c := range config.Choices() {
		known[c.Key] = true
	}
	// Text that is free: names, paths, hashes.
	free := []string{
		"name", "output_dir", "data.input_path", "model.base_model", "model.create.text", "test.test_data_path",
		"test.model_a_path", "test.model_b_path", "test.metrics[].module",
		"test.design.primary", "test.design.unit", "training.class_weights", "test.design.guardrails[].metric",
	}
	for key, kind := range kinds(reflect.TypeFor[config.Pipeline](), "") {
		switch kind {
		case reflect.String:
			if !known[key] && !slices.Contains(free, key) {
				t.Errorf("%s takes text: list its values in config.Choices, or here that it is free", key)
			}
		case reflect.Bool:
			on := func(r struct {
				name string
				set  map[string]string
			}) bool {
				return r.set[key] == "true"
			}
			if !slices.ContainsFunc(choices, on) {
				t.Errorf("no run has %s switched on; put it into choices", key)
			}
		}
	}
}

// kinds gives the kind of every key's value.
func kinds(of reflect.Type, prefix string) map[string]reflect.Kind {
	out := map[string]reflect.Kind{}
	for i := range of.NumField() {
		f := of.Field(i)
		key := prefix + f.Tag.Get("yaml")
		switch {
		case f.Type.Kind() == reflect.Struct:
			maps.Copy(out, kinds(f.Type, key+"."))
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			maps.Copy(out, kinds(f.Type.Elem(), key+"[]."))
		default:
			out[key] = f.Type.Kind()
		}
	}
	return out
}

func TestARunOfEveryChoiceFinishesAndResumesToTheSameBytes(t *testing.T) {
	for _, c := range choices {
		t.Run(c.name, func(t *testing.T) {
			if raceDetector && slices.Contains([]string{"mini", "small"}, c.set["model.create.shape"]) {
				t.Skip("the smaller shapes run the same code")
			}
			set := []string{"training.num_train_epochs=1", "training.per_device_train_batch_size=4", "so8t.num_train_epochs=0.2", "so8t.per_device_train_batch_size=16"}
			for _, key := range slices.Sorted(maps.Keys(c.set)) {
				set = append(set, key+"="+c.set[key])
			}
			once, cut := t.TempDir(), t.TempDir()
			whole := choiceRun(t, once, c.set, set, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			interrupted := choiceRun(t, cut, c.set, set, &interrupter{kind: "finetune", unit: "steps", done: 1, cancel: cancel}, ctx)
			if interrupted.Status != experiments.Interrupted {
				t.Fatalf("the run to be interrupted is %s: %s", interrupted.Status, statuses(interrupted))
			}
			watcher := &interrupter{}
			resumed := choiceRun(t, cut, c.set, set, watcher)
			if !slices.ContainsFunc(watcher.notes, func(n string) bool { return strings.Contains(n, "resumed from the checkpoint of step 1") }) {
				t.Errorf("nothing was resumed: %q", watcher.notes)
			}
			if whole.Status != experiments.Finished || resumed.Status != experiments.Finished {
				t.Fatalf("%s %s; %s %s", whole.Status, statuses(whole), resumed.Status, statuses(resumed))
			}
			a, b := weights(t, once), weights(t, cut)
			if len(a) < 2 || !maps.Equal(a, b) {
				t.Errorf("the resumed run left other weights: %v and %v", slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b)))
			}
			if again := choiceRun(t, cut, c.set, set, nil); again.ID != resumed.ID && strings.Contains(statuses(again), "finished") {
				t.Errorf("the finished run is made anew: %s", statuses(again))
			}
		})
	}
}

// choiceRun runs the small pipeline in a folder, with the engine that the configuration asks for.
func choiceRun(t *testing.T, dir string, choice map[string]string, set []string, w Watcher, ctx ...context.Context) experiments.Run {
	t.Helper()
	if !exists(filepath.Join(dir, "rows.jsonl")) {
		writeRows(t, filepath.Join(dir, "rows.jsonl"), 48)
		if choice["model.create.shape"] == "" {
			chatBase(t, filepath.Join(dir, "base"))
		}
	}
	cfg := smallConfig(t, dir, set...)
	dev, notes, err := OpenDevice(cfg)
	if cfg.Device == "cuda" && err != nil {
		t.Skipf("needs an NVIDIA card: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	r, _ := newRunner(t)
	r.Engine.Device, r.Engine.Storage, r.Engine.Recompute, r.Engine.Notes = dev, StorageOn(dev, cfg), Recompute(cfg.Training), notes
	r.Watcher = w
	with := t.Context()
	if len(ctx) > 0 {
		with = ctx[0]
	}
	run, _, err := r.Run(with, cfg, RunOptions{})
	if err != nil && with.Err() == nil {
		t.Fatalf("%v: %s", err, statuses(run))
	}
	return run
}

// chatBase makes a base model with a chat template.
func chatBase(t *testing.T, dir string) {
	t.Helper()
	if err := InitModel(dir, "llama", "micro", 320, []string{"open the window please, sell me the secret"}, 1); err != nil {
		t.Fatal(err)
	}
	const template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
	if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(template), 0o644); err != nil {
		t.Fatal(err)
	}
}
