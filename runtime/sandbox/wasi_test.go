package sandbox_test

import (
	"context"
	"encoding/binary"
	"math"
	"strings"
	"testing"
	"time"

	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
)

// answering makes metric_eval call a function of WASI and return what it
// answered as the result x.
func answering(name, signature string, args ...int64) *wasmtest.Metric {
	params, _, _ := strings.Cut(signature, "->")
	imported := wasmtest.Imported{From: "wasi_snapshot_preview1", Name: name, Results: []byte{wasmtest.TI32}}
	var call []byte
	for i, p := range strings.Fields(params) {
		v := int64(0)
		if i < len(args) {
			v = args[i]
		}
		if p == "i64" {
			imported.Params, call = append(imported.Params, wasmtest.TI64), append(call, wasmtest.I64c(v)...)
		} else {
			imported.Params, call = append(imported.Params, wasmtest.TI32), append(call, wasmtest.I32c(int32(v))...)
		}
	}
	m := wasmtest.Good()
	m.Imports = []wasmtest.Imported{imported}
	const value = 16 + 32 + 1 // of x in the block: behind the header, one record and the name
	m.Eval.Body = wasmtest.Cat(wasmtest.I32c(wasmtest.ResultAt+value), call, wasmtest.Callf(0), []byte{0xb8, 0x39, 0, 0}, m.Eval.Body)
	return m
}

func TestEveryFunctionOfWASICanBeImportedAndReachesNothing(t *testing.T) {
	const ok, badDescriptor, fault, notSupported, noSeek = 0, 8, 21, 52, 70
	cases := []struct {
		name string
		args []int64
		want float64
	}{
		{"fd_prestat_get", []int64{3, 8192}, badDescriptor},
		{"fd_prestat_dir_name", []int64{3, 8192, 8}, badDescriptor},
		{"path_open", []int64{3, 0, 1024, 4, 0, 0, 0, 0, 8192}, badDescriptor},
		{"path_filestat_get", []int64{3, 0, 1024, 4, 8192}, badDescriptor},
		{"path_unlink_file", []int64{3, 1024, 4}, badDescriptor},
		{"sock_accept", []int64{3, 0, 8192}, badDescriptor},
		{"fd_fdstat_get", []int64{1, 8192}, ok},
		{"fd_fdstat_get", []int64{3, 8192}, badDescriptor},
		{"fd_fdstat_get", []int64{1, -8}, fault},
		{"fd_fdstat_set_flags", []int64{0, 4}, ok},
		{"fd_filestat_get", []int64{2, 8192}, ok},
		{"fd_filestat_get", []int64{2, -8}, fault},
		{"fd_read", []int64{0, 512, 1, 8192}, ok},
		{"fd_read", []int64{0, 512, 1, -2}, fault},
		{"fd_read", []int64{1, 512, 1, 8192}, badDescriptor},
		{"fd_seek", []int64{1, 0, 0, 8192}, noSeek},
		{"fd_close", []int64{1}, ok},
		{"fd_close", []int64{3}, badDescriptor},
		// Numbers that would grow a table of descriptors to gigabytes.
		{"fd_renumber", []int64{1, math.MaxInt32}, notSupported},
		{"fd_allocate", []int64{1, 0, math.MaxInt64}, notSupported},
		{"proc_raise", []int64{9}, notSupported},
	}
	h := host(t, func(o *sandbox.Options) { o.Timeout = time.Minute })
	for _, c := range cases {
		results, _, err := h.Evaluate(context.Background(), answering(c.name, sandbox.WASISignatures()[c.name], c.args...).Bytes(), table(1), nil)
		if err != nil || results[0].Values[0] != c.want {
			t.Errorf("%s%v: %+v %v, want %v", c.name, c.args, results, err, c.want)
		}
	}
	signatures := sandbox.WASISignatures()
	if len(signatures) != 46 {
		t.Errorf("%d functions, wasi_snapshot_preview1 has 46", len(signatures))
	}
	for name, signature := range signatures {
		if !strings.HasSuffix(signature, "-> i32") {
			continue // proc_exit
		}
		if _, _, err := h.Evaluate(context.Background(), answering(name, signature).Bytes(), table(1), nil); err != nil {
			t.Errorf("%s (%s): %v", name, signature, err)
		}
	}
}

func TestStandardInputIsEmpty(t *testing.T) {
	// fd_read writes 0 over what stands where it puts its count; metric_eval
	// returns that as x.
	m := answering("fd_read", "i32 i32 i32 i32 ->", 0, 512, 1, 8192)
	m.Data[8192] = binary.LittleEndian.AppendUint32(nil, 7)
	at := wasmtest.ResultAt + 16 + 32 + 1
	m.Eval.Body = wasmtest.Cat(m.Eval.Body[:len(m.Eval.Body)-len(wasmtest.Good().Eval.Body)],
		wasmtest.I32c(int32(at)), wasmtest.I32c(8192), []byte{0x28, 0, 0, 0xb8, 0x39, 0, 0}, wasmtest.Good().Eval.Body)
	results, _, err := host(t, nil).Evaluate(context.Background(), m.Bytes(), table(1), nil)
	if err != nil || results[0].Values[0] != 0 {
		t.Errorf("%+v %v, want a count of 0", results, err)
	}
}
