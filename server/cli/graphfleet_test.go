//go:build linux

package cli

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
	"triality/frontend"
)

// ranksGraph compares two fine-tunings; a second A/B test of the same models has other resamples.
const ranksGraph = `name: ranks
output_dir: work
device: cpu
steps:
  - {name: rows, kind: convert, body: {data: {input_path: rows.jsonl, max_length: 96, val_ratio: 0.1, test_ratio: 0.2}, base_model: model}}
  - {name: r2, kind: finetune, body: {base_model: model, dataset: "${rows.dataset}", training: {num_train_epochs: 1, per_device_train_batch_size: 8, lora_r: 2}}}
  - {name: r4, kind: finetune, body: {base_model: model, dataset: "${rows.dataset}", training: {num_train_epochs: 1, per_device_train_batch_size: 8, lora_r: 4}}}
  - {name: ab, kind: abtest, body: {model_a: "${r2.model}", model_b: "${r4.model}", test_data: "${rows.dataset}", max_length: 96, test: {warmup: 1, bootstrap_resamples: %d, metrics: [{module: agree.wasm}]}}}
  - {name: mine, kind: metric, body: {result: "${ab.result}", metric: {module: agree.wasm}}}
  - {name: report, kind: report, body: {ab: "${ab.result}"}}
`

// freeAddress is a loopback address that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startWorker starts a worker of its own folder; it ends with the test.
func startWorker(t *testing.T, address, token, name string) {
	t.Helper()
	said := filepath.Join(t.TempDir(), "said")
	out, err := os.Create(said)
	if err != nil {
		t.Fatal(err)
	}
	cmd := triality(t, t.TempDir(), "worker", "--join", "nats://"+address, "--token-file", token, "--dir", "files", "--name", name)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopped(t, cmd, said); out.Close() })
}

func stopped(t *testing.T, cmd *exec.Cmd, said string) {
	_ = cmd.Process.Kill() // it may have ended
	_ = cmd.Wait()
	if t.Failed() {
		text, _ := os.ReadFile(said)
		t.Logf("the worker said:\n%s", text)
	}
}

func TestAGraphOnAWorkerEndsAsOneHereAndItsLooksAreCountedHere(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	here, there := graphFolder(t), graphFolder(t)
	text := fmt.Sprintf(ranksGraph, 100)
	if err := os.WriteFile(filepath.Join(here, "graph.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	mustRun(t, here, "run", "graph.yaml")

	address, token := freeAddress(t), filepath.Join(t.TempDir(), "token")
	mustRun(t, there, "worker", "token", "--output", token)
	s := &tracker{dir: there, args: []string{"--workers-only", "--workers", address, "--workers-lease", "5s"}}
	s.start(t)
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() }) // it may have ended
	startWorker(t, address, token, "one")
	submit := func(text string) experiments.Run {
		run, err := s.client(t).Submit(context.Background(), text, "ranks", there)
		if err != nil {
			t.Fatal(err)
		}
		return s.await(t, run.ID)
	}
	run := submit(text)
	at := stepFolders(t, here)
	if compared := sameFolders(t, at, here, there); compared < 25 {
		t.Errorf("only %d files were compared", compared)
	}
	if run.Config != text || run.Job.Attempt != 1 {
		t.Errorf("attempt %d of\n%s", run.Job.Attempt, run.Config)
	}
	looks := filepath.Join(there, at["rows"], "dataset.looks")
	counted := func() int {
		text, err := os.ReadFile(looks)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(text, []byte("\n"))
	}
	if n := counted(); n != 1 {
		t.Errorf("%d looks after one test", n)
	}
	submit(fmt.Sprintf(ranksGraph, 200))
	if n := counted(); n != 2 {
		t.Errorf("%d looks after two tests", n)
	}
	if text, err := os.ReadFile(looks); err != nil || !strings.Contains(string(text), run.ID+"/") {
		t.Errorf("the looks do not name the run: %s, %v", text, err)
	}
}
