package sandbox

import (
	"context"
	"encoding/binary"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

const wasiModule = "wasi_snapshot_preview1"

// Error numbers of WASI.
const (
	wasiOK            = 0
	wasiBadDescriptor = 8
	wasiFault         = 21
	wasiNotSupported  = 52
	wasiNoSeek        = 70
)

// wasiFunction is a function of WASI that a module may import.
type wasiFunction struct {
	signature string
	// answer is what it does here; nil where wazero's own is harmless.
	answer func(api.Memory, []uint64) uint32
}

// wasiFunctions are all of wasi_snapshot_preview1, since what a language's
// library imports depends on which of its packages are used, and not on whether
// they ever open a file. There is no file, no argument, no environment and no
// network; the clock only counts, and the random source is fixed. Of file
// descriptors there are the three standard ones: input is empty, and what goes
// to the other two is the module's log.
var wasiFunctions = map[string]wasiFunction{
	"sched_yield":       {signature: "-> i32"},
	"proc_exit":         {signature: "i32 ->"},
	"args_get":          {signature: "i32 i32 -> i32"},
	"args_sizes_get":    {signature: "i32 i32 -> i32"},
	"clock_res_get":     {signature: "i32 i32 -> i32"},
	"clock_time_get":    {signature: "i32 i64 i32 -> i32"},
	"environ_get":       {signature: "i32 i32 -> i32"},
	"environ_sizes_get": {signature: "i32 i32 -> i32"},
	"fd_write":          {signature: "i32 i32 i32 i32 -> i32"},
	"random_get":        {signature: "i32 i32 -> i32"},
	"poll_oneoff":       {signature: "i32 i32 i32 i32 -> i32"},

	"fd_close":              {"i32 -> i32", standard(wasiOK)},
	"fd_sync":               {"i32 -> i32", standard(wasiOK)},
	"fd_datasync":           {"i32 -> i32", standard(wasiOK)},
	"fd_fdstat_set_flags":   {"i32 i32 -> i32", standard(wasiOK)},
	"fd_seek":               {"i32 i64 i32 i32 -> i32", standard(wasiNoSeek)},
	"fd_tell":               {"i32 i32 -> i32", standard(wasiNoSeek)},
	"fd_pread":              {"i32 i32 i32 i64 i32 -> i32", standard(wasiNoSeek)},
	"fd_pwrite":             {"i32 i32 i32 i64 i32 -> i32", standard(wasiNoSeek)},
	"fd_advise":             {"i32 i64 i64 i32 -> i32", standard(wasiNoSeek)},
	"fd_allocate":           {"i32 i64 i64 -> i32", standard(wasiNotSupported)},
	"fd_fdstat_set_rights":  {"i32 i64 i64 -> i32", standard(wasiNotSupported)},
	"fd_filestat_set_size":  {"i32 i64 -> i32", standard(wasiNotSupported)},
	"fd_filestat_set_times": {"i32 i64 i64 i32 -> i32", standard(wasiNotSupported)},
	"fd_readdir":            {"i32 i32 i32 i64 i32 -> i32", standard(wasiNotSupported)},
	"fd_renumber":           {"i32 i32 -> i32", standard(wasiNotSupported)},
	"fd_fdstat_get":         {"i32 i32 -> i32", describeStandard(24, 0)},
	"fd_filestat_get":       {"i32 i32 -> i32", describeStandard(64, 16)},
	"fd_read":               {"i32 i32 i32 i32 -> i32", readStandard},

	"fd_prestat_get":          {"i32 i32 -> i32", always(wasiBadDescriptor)},
	"fd_prestat_dir_name":     {"i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_create_directory":   {"i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_filestat_get":       {"i32 i32 i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_filestat_set_times": {"i32 i32 i32 i32 i64 i64 i32 -> i32", always(wasiBadDescriptor)},
	"path_link":               {"i32 i32 i32 i32 i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_open":               {"i32 i32 i32 i32 i32 i64 i64 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_readlink":           {"i32 i32 i32 i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_remove_directory":   {"i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_rename":             {"i32 i32 i32 i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_symlink":            {"i32 i32 i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"path_unlink_file":        {"i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"sock_accept":             {"i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"sock_recv":               {"i32 i32 i32 i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"sock_send":               {"i32 i32 i32 i32 i32 -> i32", always(wasiBadDescriptor)},
	"sock_shutdown":           {"i32 i32 -> i32", always(wasiBadDescriptor)},
	"proc_raise":              {"i32 -> i32", always(wasiNotSupported)},
}

func always(errno uint32) func(api.Memory, []uint64) uint32 {
	return func(api.Memory, []uint64) uint32 { return errno }
}

// isStandard reports whether the first argument is a descriptor there is.
func isStandard(args []uint64) bool { return uint32(args[0]) <= 2 }

// standard answers errno for a descriptor there is.
func standard(errno uint32) func(api.Memory, []uint64) uint32 {
	return func(_ api.Memory, args []uint64) uint32 {
		if !isStandard(args) {
			return wasiBadDescriptor
		}
		return errno
	}
}

// describeStandard writes size bytes that say of a descriptor, at typeAt, that
// it is a character device, and nothing else.
func describeStandard(size, typeAt int) func(api.Memory, []uint64) uint32 {
	const characterDevice = 2
	return func(m api.Memory, args []uint64) uint32 {
		if !isStandard(args) {
			return wasiBadDescriptor
		}
		stat := make([]byte, size)
		stat[typeAt] = characterDevice
		if size == 24 { // the rights: to read, or to write
			binary.LittleEndian.PutUint64(stat[8:], map[bool]uint64{true: 1 << 1, false: 1 << 6}[args[0] == 0])
		}
		if !m.Write(uint32(args[1]), stat) {
			return wasiFault
		}
		return wasiOK
	}
}

// readStandard reads nothing from standard input.
func readStandard(m api.Memory, args []uint64) uint32 {
	switch {
	case uint32(args[0]) != 0:
		return wasiBadDescriptor
	case !m.WriteUint32Le(uint32(args[3]), 0):
		return wasiFault
	}
	return wasiOK
}

// instantiateWASI makes the functions above importable. wazero's own would do
// for most; what is not needed is not handed to a hostile module.
func instantiateWASI(ctx context.Context, engine wazero.Runtime) error {
	b := engine.NewHostModuleBuilder(wasiModule)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(b)
	for name, f := range wasiFunctions {
		if f.answer == nil {
			continue
		}
		call := func(_ context.Context, mod api.Module, stack []uint64) {
			stack[0] = uint64(f.answer(mod.Memory(), stack))
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(call), wasiTypes(f.signature), []api.ValueType{api.ValueTypeI32}).Export(name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

// wasiTypes are a signature's parameters.
func wasiTypes(signature string) []api.ValueType {
	before, _, _ := strings.Cut(signature, "->")
	var out []api.ValueType
	for _, word := range strings.Fields(before) {
		out = append(out, map[string]api.ValueType{"i32": api.ValueTypeI32, "i64": api.ValueTypeI64}[word])
	}
	return out
}
