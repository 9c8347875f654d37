package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/frontend"
	"triality/server/store"
)

// killEpochs of killYAML are fourteen steps.
const killEpochs = 2

// killYAML has dropout, packing, and two micro-batches a step; records and evaluations fall between
// checkpoints, so that what has gathered for the next record must survive too.
const killYAML = `
name: kill
data: {input_path: rows.jsonl}
model: {base_model: model}
training:
  num_train_epochs: %d
  per_device_train_batch_size: 1
  packing: true
  gradient_accumulation_steps: 2
  learning_rate: 1.0e-2
  lora_r: 2
  lora_alpha: 4
  lora_dropout: 0.1
  logging_steps: 3
  eval_steps: 4
  save_steps: 1
  save_total_limit: 2
`

// triality runs the program as a child process.
func triality(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{Path: exe, Args: append([]string{"triality"}, args...), Dir: dir, WaitDelay: time.Minute}
}

func mustRun(t *testing.T, dir string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := triality(t, dir, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("triality %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
}

// newest is the step of the newest checkpoint, 0 when there is none.
func newest(dir string) int {
	names, _ := filepath.Glob(filepath.Join(dir, "checkpoints", "checkpoint-*.ckpt"))
	step := 0
	for _, n := range names {
		n = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(n), "checkpoint-"), ".ckpt")
		if k, err := strconv.Atoi(n); err == nil {
			step = max(step, k)
		}
	}
	return step
}

func TestFinetuneKilledAtAnyPointEndsWithTheSameBytes(t *testing.T) {
	dir := killFolder(t, killEpochs)
	finetune := func(out string) []string {
		return []string{"finetune", "--base-model", "model", "--dataset", "c/dataset", "--config", "kill.yaml", "--output", out}
	}
	mustRun(t, dir, finetune("whole")...)
	whole, killed := filepath.Join(dir, "whole"), filepath.Join(dir, "killed")
	last := newest(whole)
	if last < 10 {
		t.Fatalf("%d steps are too few to be killed at", last)
	}

	checkpoint := func(step int) string { return fmt.Sprintf("killed/checkpoints/checkpoint-%d.ckpt", step) }
	for _, p := range []struct {
		name, point string
		step        int // of the newest checkpoint then
	}{
		{"before the first step", "after mkdir killed/checkpoints", 0},
		{"after the first checkpoint", "after rename " + checkpoint(1), 1},
		{"between two checkpoints", "soon after rename " + checkpoint(last/3), last / 3},
		{"while a checkpoint is written", fmt.Sprintf("before sync killed/checkpoints/.checkpoint-%d.ckpt.*", last/2), last/2 - 1},
		{"before a checkpoint has its name", "before rename " + checkpoint(last/2+1), last / 2},
		{"before an older one is removed", fmt.Sprintf("before remove %s", checkpoint(last-4)), last - 2},
		{"before the adapter has its name", "before rename killed/adapter", last},
		{"between the results", "after rename killed/adapter", last},
		{"while the merged model is written", "before sync killed/.merged.triality-tmp/.model.safetensors.*", last},
	} {
		from := newest(killed)
		if !dies(t, dir, p.point, finetune("killed")...) {
			t.Fatalf("%s: the command ended without coming to %s", p.name, p.point)
		}
		t.Logf("killed %s: at step %d of %d, resumed from %d", p.name, newest(killed), last, from)
		if newest(killed) != p.step {
			t.Errorf("%s: the newest checkpoint is of step %d, want %d", p.name, newest(killed), p.step)
		}
	}
	mustRun(t, dir, finetune("killed")...)

	sameTraining(t, whole, killed)
}

// readCheckpoint gives a checkpoint's header without the records' timing, and the bytes of its tensors.
// The layout is that of runtime/train/checkpoint.go.
func readCheckpoint(t *testing.T, path string) (head map[string]any, tensors []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 48 || string(b[:8]) != "TRICKPT1" {
		t.Fatalf("%s is no checkpoint", path)
	}
	end := 16 + int(binary.LittleEndian.Uint64(b[8:]))
	if err := json.Unmarshal(b[16:end], &head); err != nil {
		t.Fatal(err)
	}
	records, _ := head["records"].([]any)
	values := 0
	for _, r := range records {
		record, _ := r.(map[string]any)
		if v, ok := record["values"].(map[string]any); ok {
			values += len(v)
		}
		delete(record, "timing")
	}
	var moments int
	list, _ := head["tensors"].([]any)
	for _, v := range list {
		info, _ := v.(map[string]any)
		if name, _ := info["name"].(string); strings.HasPrefix(name, "adam_m/") || strings.HasPrefix(name, "adam_v/") {
			moments++
		}
	}
	tensors = b[end : len(b)-sha256.Size]
	if values < 10 || moments < 10 || len(tensors) == 0 {
		t.Fatalf("%s has %d values, %d moments and %d bytes of tensors", path, values, moments, len(tensors))
	}
	return head, tensors
}

func TestAWholeRunKilledInEveryStepEndsWithTheSameModels(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	furnished := func() string {
		dir := t.TempDir()
		for name, text := range map[string]string{"rows.jsonl": rows(64), "small.yaml": smallYAML} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := pipeline.InitModel(filepath.Join(dir, "model"), "llama", "micro", 320, []string{rows(64)}, 1); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	whole, killed := furnished(), furnished()
	mustRun(t, whole, "run", "small.yaml")
	kills := 0
	for _, point := range []string{
		"after mkdir work/convert/*", "after rename work/convert/*/dataset", "after mkdir work/finetune/*/checkpoints", "after rename work/finetune/*/merged",
		"before rename work/replace/*/model", "after rename work/replace/*/model", "after mkdir work/abtest/*", "before rename work/abtest/*/step.json", "after mkdir work/report/*",
	} {
		if !dies(t, killed, point, "run", "small.yaml") {
			t.Fatalf("the run ended without coming to %s", point)
		}
		kills++
	}
	mustRun(t, killed, "run", "small.yaml")
	mustRun(t, killed, "db", "check")

	compared := 0
	err := fs.WalkDir(os.DirFS(filepath.Join(whole, "work")), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".safetensors" {
			return err
		}
		a, errA := os.ReadFile(filepath.Join(whole, "work", path))
		b, errB := os.ReadFile(filepath.Join(killed, "work", path))
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs from that of a run that was never killed", path)
		}
		compared++
		return errors.Join(errA, errB)
	})
	if err != nil || compared != 3 { // adapter, merged model, SO8T model
		t.Errorf("%d files compared, %v", compared, err)
	}

	st, err := store.Open(filepath.Join(killed, "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	runs, _, err := st.Runs(t.Context(), store.RunFilter{})
	if err != nil || len(runs) < kills {
		t.Fatalf("%d runs recorded, %d were killed: %v", len(runs), kills, err)
	}
	finished := 0
	for _, r := range runs {
		switch r.Status {
		case experiments.Finished:
			finished++
		case experiments.Interrupted:
		default:
			t.Errorf("run %s of a killed process is %s", r.ID, r.Status)
		}
	}
	if finished == 0 {
		t.Error("no run finished")
	}
}
