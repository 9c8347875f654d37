package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
)

func TestTwoDoNotTrainIntoOneFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	release, err := claim(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{}
	for name, err := range map[string]error{
		"finetune": e.Finetune(t.Context(), FinetuneOptions{OutDir: dir}, nil),
		"replace":  e.Replace(t.Context(), ReplaceOptions{OutDir: dir}, nil),
		"pretrain": e.Pretrain(t.Context(), PretrainOptions{WorkDir: dir}, nil),
	} {
		var coded *experiments.Error
		if !errors.As(err, &coded) || coded.Code != experiments.CodeConflict || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	release()
	if again, err := claim(dir); err != nil {
		t.Errorf("after release: %v", err)
	} else {
		again()
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder is left: %v", err)
	}
}

func TestPackingFillsMaxLength(t *testing.T) {
	cfg := config.Default()
	if o, s := trainOptions(cfg.Training, 2048, 1), so8tConfig(cfg.SO8T, 2048, 1); o.Packing != 0 || s.Packing != 0 {
		t.Errorf("off: %d and %d", o.Packing, s.Packing)
	}
	cfg.Training.Packing, cfg.SO8T.Packing = true, true
	if o, s := trainOptions(cfg.Training, 2048, 1), so8tConfig(cfg.SO8T, 2048, 1); o.Packing != 2048 || s.Packing != 2048 {
		t.Errorf("on: %d and %d", o.Packing, s.Packing)
	}
}
