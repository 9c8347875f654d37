package sandbox_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// validates reports whether wazero accepts a module.
func validates(wasm []byte) error {
	ctx := context.Background()
	e := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2))
	defer e.Close(ctx)
	_, err := e.CompileModule(ctx, wasm)
	return err
}

// FuzzMeter holds the rewriting pass to this: what passed preflight is
// rewritten without a panic, or refused; a rewritten module passes the scanner
// again; and it is valid exactly where the original was.
func FuzzMeter(f *testing.F) {
	f.Add(wasmtest.Good().Bytes())
	f.Add(withEval(loopOf(3, fillOf(8))).Bytes())
	f.Add(wasmtest.TreeModule().Bytes())
	tables := wasmtest.Good()
	tables.Tables = wasmtest.Vec([]byte{0x70, 0, 1})
	tables.Globals = wasmtest.Vec(wasmtest.Cat([]byte{wasmtest.TI32, 1}, wasmtest.I32c(3), wasmtest.End))
	tables.Eval.Body = wasmtest.Cat(wasmtest.I32c(0), []byte{0x02, 0x40, 0x41, 0, 0x0e, 1, 0, 1, 0x0b, 0x1a}, []byte{0x23, 0, 0x24, 0},
		[]byte{0xd0, 0x70}, wasmtest.I32c(1), []byte{0xfc, 15, 0, 0x1a}, wasmtest.I32c(0), []byte{0x11, 0, 0}, tables.Eval.Body)
	f.Add(tables.Bytes())
	f.Add(wasmtest.Good().With(func(m *wasmtest.Metric) { m.More, m.Start = []wasmtest.Function{{Body: wasmtest.Forever}}, 4 }).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 8<<10 {
			return
		}
		info, err := sandbox.Preflight(b)
		if err != nil {
			return
		}
		metered, err := sandbox.Meter(b)
		// A large table or memory only costs time here.
		small := info.MemoryBytes <= 16<<20
		if err != nil {
			if small && validates(b) == nil {
				t.Fatalf("a valid module was refused: %v", err)
			}
			return
		}
		if _, err := sandbox.Preflight(metered); err != nil {
			t.Fatalf("after rewriting: %v", err)
		}
		if !small {
			return
		}
		before, after := validates(b), validates(metered)
		if (before == nil) != (after == nil) {
			t.Fatalf("valid before: %v; after: %v", before, after)
		}
	})
}

// BenchmarkMetering measures what the accounting costs the shipped modules:
// the time of metric_eval with it over the time without, best of several each,
// interleaved.
func BenchmarkMetering(b *testing.B) {
	built, err := filepath.Glob("../../wasm-metrics/dist/*.wasm")
	if err != nil {
		b.Fatal(err)
	}
	if len(built) == 0 {
		b.Skip("wasm-metrics is not built")
	}
	for _, p := range built {
		b.Run(filepath.Base(p), func(b *testing.B) {
			wasm, err := os.ReadFile(p)
			if err != nil {
				b.Fatal(err)
			}
			metered, err := sandbox.Meter(wasm)
			if err != nil {
				b.Fatal(err)
			}
			raw, counted := instantiate(b, wasm), instantiate(b, metered)
			var without, with []time.Duration
			for b.Loop() {
				without, with = append(without, raw()), append(with, counted())
			}
			b.ReportMetric(float64(slices.Min(with))/float64(slices.Min(without)), "ratio")
			b.ReportMetric(float64(len(metered))/float64(len(wasm)), "size")
			b.ReportMetric(slices.Min(with).Seconds()*1e3, "eval-ms")
		})
	}
}

// instantiate returns a function that evaluates the module on 100,000 rows in
// this process and says how long metric_eval took.
func instantiate(b *testing.B, wasm []byte) func() time.Duration {
	ctx := context.Background()
	e := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	b.Cleanup(func() { e.Close(ctx) })
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, e); err != nil {
		b.Fatal(err)
	}
	mod, err := e.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		b.Fatal(err)
	}
	call := func(name string, args ...uint64) uint64 {
		if g, ok := mod.ExportedGlobal("triality fuel").(api.MutableGlobal); ok {
			g.Set(1 << 62)
		}
		out, err := mod.ExportedFunction(name).Call(ctx, args...)
		if err != nil {
			b.Fatal(err)
		}
		if len(out) == 0 {
			return 0
		}
		return out[0]
	}
	for _, first := range []string{"triality start", "_initialize"} {
		if mod.ExportedFunction(first) != nil {
			call(first)
		}
	}
	at := call("metric_describe")
	text, _ := mod.Memory().Read(uint32(at>>32), uint32(at))
	d, err := metricabi.ParseDescription(text)
	if err != nil {
		b.Fatal(err)
	}
	t := sandbox.SyntheticTable(d, 100_000)
	columns, err := d.ParameterColumns(sandbox.TrialParameters(d))
	if err != nil {
		b.Fatal(err)
	}
	t.Columns = append(t.Columns, columns...)
	block, err := metricabi.Encode(t)
	if err != nil {
		b.Fatal(err)
	}
	return func() time.Duration {
		ptr := call("metric_alloc", uint64(len(block)))
		if !mod.Memory().Write(uint32(ptr), block) {
			b.Fatal("no room")
		}
		start := time.Now()
		call("metric_eval", ptr, uint64(len(block)))
		return time.Since(start)
	}
}
