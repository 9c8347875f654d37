package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// A frame is {length u32, kind u8} and length bytes. Host and worker are the
// same binary, so the protocol has no version.
const (
	frameInit     = 'i' // host: settings as JSON
	frameModule   = 'm' // host: the module; answered once it is compiled
	frameDescribe = 'd' // host: instantiate and call metric_describe
	frameEval     = 'e' // host: instantiate and call metric_eval on the table
	frameShared   = 's' // host: frameEval, with where in shared memory the table lies and results may go: offset, length, offset of results, each u64
	frameEvalWarm = 'w' // host: the same, calling twice; the second result counts
	framePhase    = 'p' // worker: what it does next, as text
	frameLog      = 'l' // worker: what the module just wrote, up to half of LogBytes a call; the reply has it all
	frameDone     = 'o' // worker: length u32 of a reply as JSON, the reply, the block the module returned
	frameFailed   = 'x' // worker: a failure as JSON
)

const frameHeader = 5

// maxReply bounds the JSON of a reply; the module's log is the largest part.
const maxReply = 1 << 20

// settings is what a worker is told first.
type settings struct {
	Interpreter bool   // run with wazero's interpreter instead of its compiler
	CacheDir    string // of compiled modules; empty: none
	MemoryBytes int64  // largest linear memory
	WorkerBytes int64  // address space beyond that, and what the process starts with
	CPUSeconds  uint64
	ResultBytes int64
	LogBytes    int
	Fuel        int64
	Shared      bool // file 3 is memory shared with the host
}

// reply is what a worker says of a call that worked.
type reply struct {
	CompileSeconds float64
	CacheFault     string  // why the compilation cache was not used; empty: it was, or there is none
	Granted        granted // with the answer to a module
	EvalSeconds    float64
	Stages         Stages // the worker's
	MemoryBytes    int64  // linear memory at the end of the call
	Fuel           int64  // used
	Address        uint32 // what metric_alloc returned for the table
	SharedBytes    int64  // length of the block, where it is in shared memory
	Log            string
}

// failure is what a worker says of a call that did not.
type failure struct {
	Code    Code
	Phase   string
	Message string
	Log     string
	Fuel    int64 // used
}

func writeFrame(w io.Writer, kind byte, parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if int64(n) > 1<<32-1 {
		return fmt.Errorf("frame of %d bytes", n)
	}
	head := binary.LittleEndian.AppendUint32(nil, uint32(n))
	if _, err := w.Write(append(head, kind)); err != nil {
		return err
	}
	for _, p := range parts {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return nil
}

func writeJSON(w io.Writer, kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFrame(w, kind, b)
}

// readHeader reads a frame's kind and length.
func readHeader(r io.Reader) (kind byte, n int64, err error) {
	var head [frameHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, 0, err
	}
	return head[4], int64(binary.LittleEndian.Uint32(head[:])), nil
}

// readBody reads a frame's n bytes where they are at most most.
func readBody(r io.Reader, n, most int64) ([]byte, error) {
	if n > most {
		return nil, fmt.Errorf("frame of %d bytes, at most %d", n, most)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}
