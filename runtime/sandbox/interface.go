package sandbox

import (
	"fmt"
	"maps"
	"slices"

	"triality/runtime/metricabi"
)

var allowedNames = slices.Sorted(maps.Keys(wasiFunctions))

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
