package worker

import (
	"context"
	"io"
	"strconv"

	"triality/experiments"
)

// Need is what a job needs of the machine that runs it.
type Need struct {
	Device       string // "cuda", "cpu", or "auto": a card where there is one
	DeviceMemory int64  // bytes; 0: not known
	Memory       int64  // bytes; 0: not known
}

// Args are the need as the arguments of a reason.
func (n Need) Args() map[string]string {
	const gb = 1e9
	args := map[string]string{}
	if n.Device == "cuda" {
		args["gpu"] = strconv.FormatInt((n.DeviceMemory+gb-1)/gb, 10)
	}
	if n.Memory > 0 {
		args["memory"] = strconv.FormatInt((n.Memory+gb-1)/gb, 10)
	}
	return args
}

// Place is a slot of another machine's worker.
type Place interface {
	// Run has the worker run a job and gives how it ended: nil, the job's own error, a *Death or a *Lost. When ctx
	// ends the worker cancels the job; where the cause is ErrStopping the worker goes on and Run ends at once.
	Run(ctx context.Context, job Job, tracker experiments.Tracker, log io.Writer) error
	// Worker is the worker's name.
	Worker() string
	// Leave gives the place back.
	Leave()
}
