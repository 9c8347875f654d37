package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments/graph"
)

// plain is a configuration without a base model to make: a job whose steps a test writes itself.
const plain = `
name: plain
output_dir: work
data: {input_path: rows.jsonl}
model: {base_model: model}
`

// plainProject fills a folder with the plain job's inputs.
func plainProject(t testing.TB, dir string) { plainProjectOf(t, dir, 900_000) }

// plainProjectOf is plainProject with a model of that many bytes.
func plainProjectOf(t testing.TB, dir string, size int) {
	t.Helper()
	write(t, filepath.Join(dir, "rows.jsonl"), rows(8))
	write(t, filepath.Join(dir, "model", "config.json"), `{"model_type":"llama"}`)
	write(t, filepath.Join(dir, "model", "tokenizer.json"), "{}")
	write(t, filepath.Join(dir, "model", "model.safetensors"), strings.Repeat("w", size))
}

// begun is a plain job at its first attempt, staged.
type begun struct {
	dir    string // the server's
	server *Server
	worker *Worker
	wire   *wire
	place  *Workplace
}

func begin(t testing.TB) *begun { return beginOf(t, 900_000) }

// beginOf is begin with a model of that many bytes.
func beginOf(t testing.TB, size int) *begun {
	t.Helper()
	b := &begun{dir: t.TempDir(), worker: newWorker(t)}
	plainProjectOf(t, b.dir, size)
	b.server = newServer(t, b.dir)
	b.attempt(t, 1)
	return b
}

// attempt begins an attempt and stages it.
func (b *begun) attempt(t testing.TB, n int) {
	t.Helper()
	if err := b.server.Begin(t.Context(), Job{Run: "run1", Attempt: n, Config: plain, Dir: b.dir}); err != nil {
		t.Fatal(err)
	}
	b.wire = &wire{server: b.server, run: "run1", attempt: n}
	var err error
	if b.place, err = b.worker.Stage(t.Context(), b.wire, "run1", nil); err != nil {
		t.Fatal(err)
	}
}

// key is a step's key in tests, of whose folder's name is its start.
func key(n int) string { return fmt.Sprintf("%064x", 0xabc000+n)[52:] + fmt.Sprintf("%052d", n) }

// folder is a step's folder below root.
func folder(root, kind string, n int) string {
	return filepath.Join(root, "work", kind, key(n)[:12])
}

// finish writes a finished step.
func finish(t testing.TB, root, kind string, n int, files map[string]string) {
	t.Helper()
	dir := folder(root, kind, n)
	var outputs []string
	for name, text := range files {
		write(t, filepath.Join(dir, filepath.FromSlash(name)), text)
		outputs = append(outputs, name)
	}
	marker, err := json.Marshal(graph.Marker{Kind: kind, Key: key(n), Outputs: outputs})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, graph.MarkerName), string(marker))
}

// checkpoint writes a checkpoint of a step that has not finished, and prunes the one before.
func checkpoint(t testing.TB, root, kind string, n, step int) {
	t.Helper()
	dir := filepath.Join(folder(root, kind, n), "checkpoints")
	write(t, filepath.Join(dir, fmt.Sprintf("checkpoint-%d.ckpt", step)), checkpointText(step))
	if err := os.RemoveAll(filepath.Join(dir, fmt.Sprintf("checkpoint-%d.ckpt", step-1))); err != nil {
		t.Fatal(err)
	}
}

func checkpointText(step int) string { return fmt.Sprintf("%0400000d", step) }

// script is what the plain job does, in parts that a death may cut: it goes on from what it finds.
func script(t testing.TB, ctx context.Context, p *Workplace) error {
	t.Helper()
	done := func(kind string, n int) bool {
		_, err := os.Stat(filepath.Join(folder(p.Dir, kind, n), graph.MarkerName))
		return err == nil
	}
	if !done("convert", 1) {
		finish(t, p.Dir, "convert", 1, map[string]string{"dataset/train/data.arrow": "rows", "summary.json": "{}", "empty": ""})
	}
	if err := p.Send(ctx); err != nil {
		return err
	}
	if !done("finetune", 2) {
		for step := 1; step <= 3; step++ {
			if _, err := os.Stat(filepath.Join(folder(p.Dir, "finetune", 2), "checkpoints", fmt.Sprintf("checkpoint-%d.ckpt", step+1))); err == nil {
				continue // a later one is there
			}
			checkpoint(t, p.Dir, "finetune", 2, step)
			if err := p.Send(ctx); err != nil {
				return err
			}
		}
		finish(t, p.Dir, "finetune", 2, map[string]string{"merged/model.safetensors": checkpointText(9), "merged/tokenizer.json": "{}"})
	}
	return p.Finish(ctx)
}

// ended is the folder of the undisturbed job.
func ended(t testing.TB, dir string) {
	t.Helper()
	finish(t, dir, "convert", 1, map[string]string{"dataset/train/data.arrow": "rows", "summary.json": "{}", "empty": ""})
	finish(t, dir, "finetune", 2, map[string]string{"merged/model.safetensors": checkpointText(9), "merged/tokenizer.json": "{}"})
}
