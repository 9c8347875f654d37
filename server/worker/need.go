package worker

import (
	"context"
	"io"
	"math"
	"strconv"

	"triality/experiments"
)

// Need is what a job needs of the machine that runs it.
type Need struct {
	Device       string // "cuda", "cpu", or "auto": a card where there is one
	DeviceMemory int64  // bytes of a card's memory; 0: not known
	Memory       int64  // bytes that the job's process must be able to hold; 0: not known
}

// RoomOf is what a job's process may hold on a machine with so much memory.
func RoomOf(machine int64) int64 { return machine / 10 * 9 }

// machineOf is the memory of the smallest machine whose job's process may hold so much.
func machineOf(room int64) int64 { return room/9*10 + 10 }

// Args are the need as the arguments of a reason: gpu and memory of the machine in GB, rounded up.
func (n Need) Args() map[string]string {
	args := map[string]string{}
	if n.Device == "cuda" || n.DeviceMemory > 0 {
		args["gpu"] = gigabytes(n.DeviceMemory, math.Ceil)
	}
	if n.Memory > 0 {
		args["memory"] = gigabytes(machineOf(n.Memory), math.Ceil)
	}
	return args
}

// Largest adds to a reason's arguments what of it the largest machine has, in GB, rounded down.
func (n Need) Largest(args map[string]string, memory, card int64) {
	if n.DeviceMemory > 0 {
		args["gpu_have"] = gigabytes(card, math.Floor)
	}
	if n.Memory > 0 {
		args["memory_have"] = gigabytes(memory, math.Floor)
	}
}

// gigabytes writes bytes in GB; below ten with one digit behind the point.
func gigabytes(n int64, round func(float64) float64) string {
	gb := float64(n) / 1e9
	if gb >= 10 {
		return strconv.FormatFloat(round(gb), 'f', -1, 64)
	}
	return strconv.FormatFloat(round(gb*10)/10, 'f', -1, 64)
}

// Place is a slot of another machine's worker.
type Place interface {
	// Run has the worker run a job and gives how it ended: nil, the job's own error, a *Death or a *Lost. When ctx
	// ends the worker cancels the job; where the cause is ErrStopping the worker goes on and Run ends at once.
	Run(ctx context.Context, job Job, tracker experiments.Tracker, log io.Writer) error
	// Worker is the worker's name.
	Worker() string
	// Holds says whether the worker has what a job needs, as far as is known.
	Holds(n Need) bool
	// Leave gives the place back.
	Leave()
}
