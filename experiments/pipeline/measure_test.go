package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"triality/experiments/config"
	"triality/runtime/device/cpu"
	"triality/runtime/memory"
	"triality/runtime/model"
	"triality/runtime/modelfiles"
	"triality/runtime/train"
)

const measureEnv = "TRIALITY_MEASURE_ABTEST"

// measureABTest compares a model with itself in this process and prints what was planned and taken.
func measureABTest(dir string) error {
	var g config.Generate
	if os.Getenv(measureEnv+"_TEXTS") != "" {
		g = config.Generate{MaxNewTokens: 12, BatchSize: 16}
	}
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	var estimate int64
	e := &Engine{Device: dev, planned: func(held int64, need train.Memory) {
		all := need.Device
		all.Join(need.Host)
		estimate = held + all.Total() + memory.Slack(all.Total())
		fmt.Fprintln(os.Stderr, "held", memory.Bytes(held), "planned", all)
	}}
	_, err := e.ABTest(context.Background(), ABTestOptions{ModelA: dir, ModelB: dir, TestData: filepath.Join(dir, "rows.jsonl"), OutDir: filepath.Join(dir, "out"),
		Format: "instruction", MaxLength: 160, Test: config.Test{Resamples: 100, Generate: g}}, silent{})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode([]int64{estimate, memory.Peak()})
}

func TestThePlannedMemoryIsWhatAnABTestTakes(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector keeps memory of its own beside the program's; the task test runs this without it, too")
	}
	from, _, _ := afterOneRun(t)
	base := firstBase(t, from)
	small, err := model.LoadConfig(base)
	if err != nil {
		t.Fatal(err)
	}
	like, dir := t.TempDir(), filepath.Join(t.TempDir(), "model")
	shape := model.Shapes()[len(model.Shapes())-1]
	cfg, err := shape.Config("llama", small.VocabSize)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Layers, cfg.EOS = 3*cfg.Layers, small.EOS
	if err := modelfiles.Copy(base, like); err != nil {
		t.Fatal(err)
	}
	if err := cfg.Save(like); err != nil {
		t.Fatal(err)
	}
	if err := InitLike(t.Context(), dir, like, 1); err != nil {
		t.Fatal(err)
	}
	writeRows(t, filepath.Join(dir, "rows.jsonl"), 12)
	for _, texts := range []string{"", "yes"} {
		t.Run("texts "+texts, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), measureEnv+"="+dir, measureEnv+"_TEXTS="+texts)
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, said.String())
			}
			var got [2]int64
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			ratio := float64(got[0]) / float64(got[1])
			t.Logf("%.2f: estimate %s, peak %s; %s", ratio, memory.Bytes(got[0]), memory.Bytes(got[1]), said.String())
			if runtime.GOOS == "linux" && (ratio < 1 || ratio > 1.3) {
				t.Errorf("the estimate is %.2f of the peak", ratio)
			}
		})
	}
}
