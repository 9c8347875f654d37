package metricbench_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/metricbench"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

func shipped(t testing.TB, name string) []byte {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("..", "..", "..", "wasm-metrics", "dist", name+".wasm"))
	if os.IsNotExist(err) {
		t.Skipf("%s is not built", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

func TestAModuleIsMeasuredAndItsResultsAreTheNativeOnes(t *testing.T) {
	rep, err := metricbench.Run(context.Background(), metricbench.Options{Rows: 20_000, SmallRows: 100, Repeat: 1,
		Sandbox: sandbox.Options{Timeout: time.Minute}},
		metricbench.Module{Language: "c", Wasm: shipped(t, "brier_c")})
	if err != nil {
		t.Fatal(err)
	}
	f := rep.Modules[0]
	if f.Metric != "brier_c" || f.Calls != 1 || f.SandboxMS <= 0 || f.NativeMS <= 0 || f.Ratio != f.SandboxMS/f.NativeMS ||
		f.EvalMS <= 0 || f.SmallMS <= 0 || f.StartMS <= f.SmallMS || f.ColdMS <= 0 || f.Fuel <= 0 {
		t.Errorf("%+v", f)
	}
}

func TestAMetricWithoutANativePeerIsNotMeasured(t *testing.T) {
	_, err := metricbench.Run(context.Background(), metricbench.Options{}, metricbench.Module{Language: "wat", Wasm: shipped(t, "accuracy")})
	if err == nil || !strings.Contains(err.Error(), "no native peer") {
		t.Error(err)
	}
}

// BenchmarkModules measures the modules named in TRIALITY_BENCH_METRICS, as
// language=path separated by commas, and prints the report.
func BenchmarkModules(b *testing.B) {
	list := os.Getenv("TRIALITY_BENCH_METRICS")
	if list == "" {
		b.Skip("TRIALITY_BENCH_METRICS names no modules")
	}
	var modules []metricbench.Module
	for _, item := range strings.Split(list, ",") {
		lang, path, _ := strings.Cut(item, "=")
		wasm, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		modules = append(modules, metricbench.Module{Language: lang, Wasm: wasm})
	}
	for b.Loop() {
		rep, err := metricbench.Run(context.Background(), metricbench.Options{Sandbox: sandbox.Options{Timeout: 2 * time.Minute, CacheDir: filepath.Join(b.TempDir(), "cache")}}, modules...)
		if err != nil {
			b.Fatal(err)
		}
		out, err := json.MarshalIndent(rep, "", "  ")
		if err != nil {
			b.Fatal(err)
		}
		os.Stdout.Write(append(out, 0x0a))
	}
}
