package pipeline

import (
	"slices"
	"strings"
	"testing"
	"time"

	"triality/experiments/config"
	"triality/runtime/so8t"
)

func TestEachHeadIsJudgedByItsHalfOfTheLabel(t *testing.T) {
	verdict := func(unsafe, escalate float64) so8t.Verdict {
		v := so8t.Verdict{Safety: [2]float64{1 - unsafe, unsafe}, Authority: [2]float64{1 - escalate, escalate}}
		v.Classes[so8t.Allow], v.Classes[so8t.Escalation] = (1-unsafe)*(1-escalate), (1-unsafe)*escalate
		v.Classes[so8t.Deny], v.Classes[so8t.Refuse] = unsafe*(1-escalate), unsafe*escalate
		return v
	}
	for _, tt := range []struct {
		unsafe, escalate  float64
		class             so8t.Class
		safety, authority float64
	}{
		{0.1, 0.1, so8t.Allow, 1, 1}, {0.1, 0.9, so8t.Allow, 1, 0}, {0.9, 0.1, so8t.Allow, 0, 1}, {0.9, 0.9, so8t.Allow, 0, 0},
		{0.1, 0.9, so8t.Escalation, 1, 1}, {0.9, 0.1, so8t.Escalation, 0, 0},
		{0.9, 0.1, so8t.Deny, 1, 1}, {0.1, 0.9, so8t.Deny, 0, 0},
		{0.9, 0.9, so8t.Refuse, 1, 1}, {0.1, 0.1, so8t.Refuse, 0, 0},
		{0.5, 0.5, so8t.Allow, 1, 1}, {0.5, 0.5, so8t.Refuse, 0, 0}, // of equals the first, as in Verdict.Class
	} {
		s := scoreHeads([]so8t.Verdict{verdict(tt.unsafe, tt.escalate)}, []so8t.Class{tt.class})
		if s.Safety != tt.safety || s.Authority != tt.authority || s.Product.Accuracy != tt.safety*tt.authority {
			t.Errorf("%+v: %+v", tt, s)
		}
	}
	s := scoreHeads([]so8t.Verdict{verdict(0, 0), verdict(0, 0), verdict(0, 0), verdict(1, 1)}, []so8t.Class{so8t.Allow, so8t.Deny, so8t.Refuse, so8t.Refuse})
	if s.Safety != 0.5 || s.Authority != 0.75 || s.Product.Accuracy != 0.5 {
		t.Errorf("of four rows: %+v", s)
	}
}

func TestParametersLeaveOutWhatIsEmptyAndKeepNumbers(t *testing.T) {
	empty := flatten(config.Pipeline{})
	for _, key := range []string{"name", "training.checkpoint_interval", "training.lora_target_modules", "training.lora_rank_pattern", "test.metrics"} {
		if v, ok := empty[key]; ok {
			t.Errorf("%s is empty and there as %q", key, v)
		}
	}
	for key, want := range map[string]string{"seed": "0", "threads": "0", "training.fp16": "false"} {
		if empty[key] != want {
			t.Errorf("%s is %q, want %q", key, empty[key], want)
		}
	}
	var cfg config.Pipeline
	cfg.Name, cfg.Training.CheckpointInterval = "n", config.Duration(time.Minute)
	cfg.Training.LoraTargetModules, cfg.Training.LoraRankPattern = []string{"q_proj"}, map[string]int{"v_proj": 2}
	cfg.Test.Metrics = []config.Metric{{Timeout: config.Duration(time.Second)}}
	full := flatten(cfg)
	for key, want := range map[string]string{
		"name": "n", "training.checkpoint_interval": "1m0s", "training.lora_target_modules": "[q_proj]", "training.lora_rank_pattern": "map[v_proj:2]", "test.metrics[0].timeout": "1s",
	} {
		if full[key] != want {
			t.Errorf("%s is %q, want %q", key, full[key], want)
		}
	}
}

func TestTheProcessorSaysWhatItDoesNotHave(t *testing.T) {
	has := func(cfg config.Pipeline, text string) bool {
		t.Helper()
		cfg.Device = "cpu"
		dev, notes, err := OpenDevice(cfg)
		if err != nil {
			t.Fatal(err)
		}
		dev.Close()
		return slices.ContainsFunc(notes, func(n string) bool { return strings.Contains(n, text) })
	}
	var plain, limited, narrow config.Pipeline
	limited.MemoryLimit, narrow.Training.BF16 = 1, true
	if has(plain, "device_memory_limit") || !has(limited, "device_memory_limit: the cpu device has none") {
		t.Error("the note of the memory limit")
	}
	if has(plain, "fp16/bf16") || !has(narrow, "fp16/bf16: the cpu device computes in float32") {
		t.Error("the note of narrow numbers")
	}
	if plural(1, "row") != "1 row" || plural(2, "row") != "2 rows" || plural(0, "row") != "0 rows" {
		t.Errorf("%s, %s", plural(1, "row"), plural(2, "row"))
	}
}
