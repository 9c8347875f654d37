package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"triality/experiments/config"
	"triality/runtime/disk"
)

func TestAFinishedSO8TModelStaysUntilTheNextIsFinished(t *testing.T) {
	ctx := context.Background()
	dir, r, _ := afterOneRun(t)
	steps := firstRun(t).Steps
	folder := func(kind string) string {
		for _, s := range steps {
			if s.Kind == kind {
				return inCopy(t, dir, s.Output)
			}
		}
		t.Fatalf("no step %s", kind)
		return ""
	}
	out := filepath.Join(t.TempDir(), "out")
	model := filepath.Join(out, "model")
	if err := os.CopyFS(model, os.DirFS(filepath.Join(folder("replace"), "model"))); err != nil {
		t.Fatal(err)
	}
	weights := func() string {
		b, err := os.ReadFile(filepath.Join(model, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	o := ReplaceOptions{
		Model: filepath.Join(folder("finetune"), "merged"), Dataset: filepath.Join(folder("convert"), "dataset"), OutDir: out,
		SO8T: config.SO8T{Epochs: 0.3, BatchSize: 8, LearningRate: 1e-2}, MaxLength: 96, Seed: 3,
	}
	boom := errors.New("input/output error")
	before := weights()
	stop := disk.Watch(out, func(op disk.Op, do func() error) error {
		if filepath.Ext(op.To) == ".ckpt" { // the training's first checkpoint
			return boom
		}
		if now := weights(); now != before {
			t.Errorf("before %s the model is another", op)
		}
		return do()
	})
	err := r.Engine.Replace(ctx, o, silent{})
	stop()
	if !errors.Is(err, boom) {
		t.Fatalf("the training failed with %v", err)
	}
	if weights() != before {
		t.Error("a call that failed changed the model")
	}
	if err := r.Engine.Replace(ctx, o, silent{}); err != nil {
		t.Fatal(err)
	}
	if weights() == before {
		t.Error("the next call left the old model")
	}
	if exists(filepath.Join(out, "model.unfinished")) {
		t.Error("the unfinished model is left")
	}
}
