package cuda

import (
	"errors"
	"fmt"
	"os"
	"unsafe"
)

// ErrNoNCCL is wrapped by OpenGroup where NVIDIA's library of sums over cards is missing.
var ErrNoNCCL = errors.New("no NCCL")

// nccl is NCCL with a communicator for each card.
type nccl struct {
	comms []uintptr

	initAll, allReduce, start, end, drop uintptr
}

// Numbers from nccl.h.
const (
	ncclFloat32 = 7
	ncclSum     = 0
)

// ncclSettings fix what a sum's order depends on, and leave out NVLink's multicast, whose sums are the switch's.
// NCCL reads them once in a process.
var ncclSettings = map[string]string{
	"NCCL_ALGO": "Ring", "NCCL_PROTO": "Simple", "NCCL_MIN_NCHANNELS": "16", "NCCL_MAX_NCHANNELS": "16", "NCCL_NVLS_ENABLE": "0",
}

// openNCCL makes communicators for cards, by CUDA's numbers.
func openNCCL(cards []int32) (*nccl, error) {
	for name, value := range ncclSettings {
		if err := os.Setenv(name, value); err != nil {
			return nil, fmt.Errorf("cuda: nccl: %w", err)
		}
	}
	n := &nccl{comms: make([]uintptr, len(cards))}
	err := openAny(candidates(ncclNames, folders()), func(l library) error {
		err := l.resolve(map[string]*uintptr{
			"ncclCommInitAll": &n.initAll, "ncclAllReduce": &n.allReduce, "ncclGroupStart": &n.start, "ncclGroupEnd": &n.end, "ncclCommDestroy": &n.drop,
		})
		if err != nil {
			return err
		}
		return n.call("ncclCommInitAll", n.initAll, uintptr(unsafe.Pointer(&n.comms[0])), uintptr(len(cards)), uintptr(unsafe.Pointer(&cards[0])))
	})
	if err != nil {
		return nil, fmt.Errorf("cuda: %w: %s; put %s beside the program, install NVIDIA's NCCL, or train on one card", ErrNoNCCL, oneLine(err), ncclNames[0])
	}
	return n, nil
}

// ncclResults are the names of ncclResult_t.
var ncclResults = map[uint32]string{1: "unhandled CUDA error", 2: "system error", 3: "internal error", 4: "invalid argument", 5: "invalid usage",
	6: "remote error", 7: "in progress"}

//go:uintptrescapes
func (n *nccl) call(name string, function uintptr, args ...uintptr) error {
	if code := uint32(callC(function, args...)); code != 0 {
		return fmt.Errorf("%s: result %d, %s", name, code, ncclResults[code])
	}
	return nil
}

// sum adds count floats at each rank's address, on its stream.
func (n *nccl) sum(at []uint64, streams []uintptr, count int) error {
	if err := n.call("ncclGroupStart", n.start); err != nil {
		return err
	}
	var errs []error
	for r, comm := range n.comms {
		errs = append(errs, n.call("ncclAllReduce", n.allReduce, uintptr(at[r]), uintptr(at[r]), uintptr(count), ncclFloat32, ncclSum, comm, streams[r]))
	}
	return errors.Join(append(errs, n.call("ncclGroupEnd", n.end))...)
}

func (n *nccl) close() error {
	var errs []error
	for _, comm := range n.comms {
		if comm != 0 {
			errs = append(errs, n.call("ncclCommDestroy", n.drop, comm))
		}
	}
	n.comms = nil
	return errors.Join(errs...)
}
