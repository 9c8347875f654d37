package experiments

import (
	"fmt"
	"strings"
)

// Reason says why a job waits, as a code and what belongs into its sentence, so that a page can say it in its reader's
// language.
type Reason struct {
	Code string            `json:"code"`
	Args map[string]string `json:"args,omitempty"`
}

// Codes of reasons, with their arguments.
const (
	WaitsForDevice    = "device"        // device, "GPU 0" or "cpu", and run and name of the job that has it
	WaitsBehind       = "behind"        // count of the jobs that start before it
	WaitsBehindHigher = "behind_higher" // count of those among them that have a higher priority
	WaitsForMemory    = "memory"        // free and needed memory of the machine
	WaitsForWorker    = "worker"        // gpu, memory: what no worker that is connected has; gpu_have, memory_have: the most that one has
	WaitsForSlot      = "worker_slot"   // gpu, memory: the workers that have them are busy
	WaitsForStart     = "start"         // nothing keeps it
)

var reasonTexts = map[string]func(a map[string]string) string{
	WaitsForDevice: func(a map[string]string) string {
		device := a["device"]
		if device == "cpu" {
			device = "the processor"
		}
		return fmt.Sprintf("waits for %s (run %s: %s)", device, a["run"], a["name"])
	},
	WaitsBehind:       func(a map[string]string) string { return "behind " + a["count"] + " that came before" },
	WaitsBehindHigher: func(a map[string]string) string { return "behind " + a["count"] + " of higher priority" },
	WaitsForMemory: func(a map[string]string) string {
		return fmt.Sprintf("waits for the machine's memory: %s are free, and it starts beside others at %s", a["free"], a["needed"])
	},
	WaitsForWorker: func(a map[string]string) string { return "waits for a worker" + having(a) + most(a) },
	WaitsForSlot:   func(a map[string]string) string { return "waits until a worker" + having(a) + " is free" },
	WaitsForStart:  func(map[string]string) string { return "starts next" },
}

// most says what the largest worker has of what is waited for.
func most(a map[string]string) string {
	var has []string
	if gpu := a["gpu_have"]; gpu != "" {
		has = append(has, "a GPU of "+gpu+" GB")
	}
	if memory := a["memory_have"]; memory != "" {
		has = append(has, memory+" GB of memory")
	}
	if len(has) == 0 {
		return ""
	}
	return "; the most that one has is " + strings.Join(has, " and ")
}

// having says what a worker must have: gpu is GB of a card's memory, 0 for any card; memory is GB of its own.
func having(a map[string]string) string {
	text := ""
	if gpu, ok := a["gpu"]; ok && gpu != "0" {
		text += " with a GPU of " + gpu + " GB"
	} else if ok {
		text += " with a GPU"
	}
	if a["memory"] != "" {
		join := " with "
		if text != "" {
			join = " and "
		}
		text += join + a["memory"] + " GB of memory"
	}
	return text
}

// String is the reason in English.
func (r Reason) String() string {
	if text := reasonTexts[r.Code]; text != nil {
		return text(r.Args)
	}
	return "waits: " + r.Code
}
