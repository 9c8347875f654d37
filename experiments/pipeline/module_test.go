package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/pipeline/metrictest"
)

// metricFiles writes modules to files and gives them as the configuration's list.
func metricFiles(t *testing.T, modules map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	var list []string
	for name, wasm := range modules {
		path := filepath.Join(dir, name+".wasm")
		if err := os.WriteFile(path, wasm, 0o644); err != nil {
			t.Fatal(err)
		}
		list = append(list, "{module: "+path+", timeout: 2s}")
	}
	return "test.metrics=[" + strings.Join(list, ", ") + "]"
}

func TestAMetricThatFailsLeavesItsReasonAndTheRunGoesOn(t *testing.T) {
	dir, r, tracker := afterOneRun(t)
	first, err := ReadABResult(firstRun(t).Steps[4].Output)
	if err != nil {
		t.Fatal(err)
	}
	modules := map[string][]byte{
		"good": metrictest.Good("good", 0.25), "loops": metrictest.Loops("loops"), "eats": metrictest.ExhaustsMemory("eats"),
		"lies": metrictest.LiesAboutOutput("lies"), "outside": metrictest.PointsOutsideMemory("outside"), "junk": []byte("no module"),
		// It suits the test rows and would not pass an upload's dry run of 64.
		"fits": metrictest.OfRows("fits", first.Rows),
	}
	run, _, err := r.Run(context.Background(), smallConfig(t, dir, metricFiles(t, modules)), RunOptions{})
	if err != nil || run.Status != experiments.Finished {
		t.Fatalf("%v; %s", err, statuses(run))
	}
	result, err := ReadABResult(run.Steps[4].Output)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{"loops": "metric_eval", "eats": "memory", "lies": "secret", "outside": "memory", "junk": "module"}
	seen := map[string]experiments.ModuleResult{}
	for _, m := range result.Metrics {
		name := strings.TrimSuffix(filepath.Base(m.Name), ".wasm")
		seen[name] = m
		if want, bad := reasons[name]; bad != (m.Error != "") || !strings.Contains(m.Error, want) {
			t.Errorf("%s: error %q, want one with %q", name, m.Error, want)
		}
		if sum := sha256.Sum256(modules[name]); m.SHA256 != hex.EncodeToString(sum[:]) || m.WallMS <= 0 {
			t.Errorf("%s: %+v", name, m)
		}
	}
	if len(seen) != len(modules) {
		t.Errorf("results of %d modules, want %d", len(seen), len(modules))
	}
	good := seen["good"]
	if len(good.Outputs) != 1 || good.Outputs[0].Values[0] != 0.25 || good.Outputs[0].Direction != "higher" || good.Version != "1" {
		t.Errorf("good: %+v", good)
	}
	if p := tracker.points[run.ID]["abtest/metric/good/"+good.Key+"/value"]; good.Key == "" || len(p) != 1 || p[0].Value != 0.25 {
		t.Errorf("points %v", p)
	}
	if _, wasm, err := tracker.Module(context.Background(), good.SHA256); err != nil || string(wasm) != string(modules["good"]) {
		t.Errorf("the module is not kept with the run: %v", err)
	}
	for name := range reasons {
		if _, _, err := tracker.Module(context.Background(), seen[name].SHA256); err == nil {
			t.Errorf("module %s was kept", name)
		}
	}
}

func TestMetricsOfOneNameKeepEachItsOwnNumbers(t *testing.T) {
	dir, r, tracker := afterOneRun(t)
	write := func(file string, wasm []byte) string {
		path := filepath.Join(t.TempDir(), file)
		if err := os.WriteFile(path, wasm, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one, two := write("one.wasm", metrictest.WithParameter("same", 0.25)), write("two.wasm", metrictest.WithParameter("same", 0.75))
	set := "test.metrics=[{module: " + one + "}, {module: " + two + "}, {module: " + one + ", params: {missing: 1}}, {module: " + one + ", params: {unknown: 1}}]"
	run, _, err := r.Run(context.Background(), smallConfig(t, dir, set), RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	result, err := ReadABResult(run.Steps[4].Output)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{}
	for i, v := range []float64{0.25, 0.75, 0.25} {
		want["abtest/metric/same/"+result.Metrics[i].Key+"/value"] = v
	}
	if len(want) != 3 {
		t.Fatalf("keys are not apart: %+v", result.Metrics)
	}
	for name, v := range want {
		if p := tracker.points[run.ID][name]; len(p) != 1 || p[0].Value != v {
			t.Errorf("%s: %v, want %v", name, p, v)
		}
	}
	if failed := result.Metrics[3]; failed.Error == "" || failed.Key == "" || failed.Key == result.Metrics[0].Key {
		t.Errorf("%+v", failed)
	}
	if _, _, err := tracker.Module(context.Background(), result.Metrics[0].SHA256); err != nil {
		t.Errorf("a module of which one set of parameters failed is not kept: %v", err)
	}
	labels := experiments.ModuleLabels(result.Metrics[:3])
	for i, part := range []string{"missing=default", result.Metrics[1].SHA256[:10], "missing=1"} {
		if !strings.Contains(labels[i], part) {
			t.Errorf("label %q does not say %q", labels[i], part)
		}
	}
}

func TestAMetricModuleIsFoundByPathOrHash(t *testing.T) {
	r, tracker := newRunner(t)
	ctx := context.Background()
	wasm := metrictest.Good("stored", 1)
	record, err := CheckModule(ctx, r.Engine.Sandbox, wasm)
	if err != nil {
		t.Fatal(err)
	}
	if err := tracker.UseModule(ctx, "r", record, wasm); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := smallConfig(t, dir, "test.metrics=[{module: "+record.SHA256+", timeout: 3s}]")
	modules, err := r.modules(ctx, cfg.Test.Metrics)
	if err != nil || len(modules) != 1 || modules[0].Name != "stored" || modules[0].Timeout != 3*time.Second || string(modules[0].Wasm) != string(wasm) {
		t.Errorf("%+v %v", modules, err)
	}
	for set, want := range map[string]string{
		"test.metrics=[{module: " + strings.Repeat("ab", 32) + "}]":        "module abababababab",
		"test.metrics=[{module: " + filepath.Join(dir, "none.wasm") + "}]": "none.wasm: no such file",
	} {
		_, err := r.modules(ctx, smallConfig(t, dir, set).Test.Metrics)
		if err == nil || experiments.CodeOf(err) != experiments.CodeNotFound || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", set, err)
		}
	}
}

func TestCheckingAModuleSaysWhichCheckFailed(t *testing.T) {
	r, _ := newRunner(t)
	record, err := CheckModule(context.Background(), r.Engine.Sandbox, metrictest.Good("fine", 1))
	if err != nil || record.Name != "fine" || record.Version != "1" || record.Size == 0 || len(record.Checks) < 4 {
		t.Fatalf("%+v %v", record, err)
	}
	for name, wasm := range map[string][]byte{"lies": metrictest.LiesAboutOutput("lies"), "outside": metrictest.PointsOutsideMemory("outside"), "junk": []byte("junk")} {
		_, err := CheckModule(context.Background(), r.Engine.Sandbox, wasm)
		var coded *experiments.Error
		if experiments.CodeOf(err) != experiments.CodeInvalid || !errors.As(err, &coded) {
			t.Fatalf("%s: %v", name, err)
		}
		checks, _ := coded.Details["checks"].([]experiments.Check)
		if len(checks) == 0 || checks[len(checks)-1].OK || !strings.Contains(err.Error(), checks[len(checks)-1].Detail) {
			t.Errorf("%s: %v, checks %+v", name, err, checks)
		}
	}
}
