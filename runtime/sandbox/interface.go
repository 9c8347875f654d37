package sandbox

import (
	"fmt"
	"maps"
	"slices"

	"triality/runtime/metricabi"
)

const wasiModule = "wasi_snapshot_preview1"

// allowedImports are the WASI functions that Go's and AssemblyScript's outputs
// need, with their signatures. In the worker they see no file, no argument, no
// environment, a clock that only counts, and a fixed random source.
var allowedImports = map[string]string{
	"sched_yield":       "-> i32",
	"proc_exit":         "i32 ->",
	"args_get":          "i32 i32 -> i32",
	"args_sizes_get":    "i32 i32 -> i32",
	"clock_time_get":    "i32 i64 i32 -> i32",
	"environ_get":       "i32 i32 -> i32",
	"environ_sizes_get": "i32 i32 -> i32",
	"fd_write":          "i32 i32 i32 i32 -> i32",
	"random_get":        "i32 i32 -> i32",
	"poll_oneoff":       "i32 i32 i32 i32 -> i32",
}

var allowedNames = slices.Sorted(maps.Keys(allowedImports))

// interfaceFunctions are the functions a module exports, in the order they are
// reported.
var interfaceFunctions = []struct {
	name, signature string
	optional        bool
}{
	{name: metricabi.Marker, signature: "->"},
	{name: metricabi.ExportAlloc, signature: "i32 -> i32"},
	{name: metricabi.ExportDescribe, signature: "-> i64"},
	{name: metricabi.ExportEval, signature: "i32 i32 -> i64"},
	{name: metricabi.ExportInitialize, signature: "->", optional: true},
}

// checkInterface holds the exports against triality_metric_v1.
func (m *module) checkInterface() error {
	if e, ok := m.exports[metricabi.ExportMemory]; !ok || e.kind != 2 {
		return fmt.Errorf("the module exports no memory named %q", metricabi.ExportMemory)
	}
	for _, f := range interfaceFunctions {
		e, ok := m.exports[f.name]
		if !ok && f.optional {
			continue
		}
		if !ok || e.kind != 0 {
			return fmt.Errorf("the module exports no function %q", f.name)
		}
		if got := m.types[m.functions[e.index]]; got != f.signature {
			return fmt.Errorf("export %q has the signature (%s), want (%s)", f.name, got, f.signature)
		}
	}
	_, m.info.Initialize = m.exports[metricabi.ExportInitialize]
	return nil
}
