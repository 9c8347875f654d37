package experiments

import "fmt"

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
	WaitsForStart: func(map[string]string) string { return "starts next" },
}

// String is the reason in English.
func (r Reason) String() string {
	if text := reasonTexts[r.Code]; text != nil {
		return text(r.Args)
	}
	return "waits: " + r.Code
}
