package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"triality/experiments/pipeline"
)

func TestASignalLeavesACheckpointAndStatus130(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no interrupt to send to another process on Windows")
	}
	dir := t.TempDir()
	// Without save_steps there is no checkpoint but the one that the signal asks for.
	config := strings.Replace(fmt.Sprintf(killYAML, 50), "save_steps: 1", "save_steps: 0", 1)
	for name, text := range map[string]string{"rows.jsonl": rows(64), "kill.yaml": config} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := pipeline.InitModel(filepath.Join(dir, "model"), "llama", "micro", 320, []string{rows(64)}, 1); err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, "convert", "--input", "rows.jsonl", "--base-model", "model", "--max-length", "96", "--output", "c")
	var out bytes.Buffer
	cmd := triality(t, dir, "finetune", "--base-model", "model", "--dataset", "c/dataset", "--config", "kill.yaml", "--output", "f")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), dyingVariable+"=interrupt after mkdir f/checkpoints")
	var failed *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &failed) || failed.ExitCode() != ExitInterrupted {
		t.Errorf("the command ended with %v, want status %d", err, ExitInterrupted)
	}
	if !strings.Contains(out.String(), "the same command resumes") {
		t.Errorf("it said %q", out.String())
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "f", "checkpoints", "checkpoint-*.ckpt")); len(files) != 1 {
		t.Errorf("checkpoints %v", files)
	}
}
