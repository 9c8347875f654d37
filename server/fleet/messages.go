package fleet

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"triality/experiments"
)

// Info is what a worker says of itself.
type Info struct {
	Version string `json:"version"` // of the program
	Engine  string `json:"engine"`  // whose bytes steps are keyed by
	OS      string `json:"os"`
	Arch    string `json:"arch"`
	Cores   int    `json:"cores"`
	Memory  int64  `json:"memory"` // bytes; 0 where the system does not say
	Cards   []Card `json:"cards,omitempty"`
	Slots   int    `json:"slots"` // jobs at once
}

// Card is a graphics card.
type Card struct {
	Name   string `json:"name"`
	Memory int64  `json:"memory"` // bytes
}

// ref names an attempt of a run.
type ref struct {
	Run     string `json:"run"`
	Attempt int    `json:"attempt"`
}

// joining asks to be a worker; Instance is a process, Folder the folder that only one process works in.
type joining struct {
	Instance string `json:"instance"`
	Folder   string `json:"folder"`
	Info     Info   `json:"info"`
	Held     []ref  `json:"held,omitempty"`
}

// welcome answers it. Refused says why not, else the worker has the lease.
type welcome struct {
	Refused string        `json:"refused,omitempty"`
	Lease   time.Duration `json:"lease,omitempty"`
	Clock   time.Time     `json:"clock,omitzero"` // the server's time of day, which records have; nothing is decided by it
}

// renewal says that a worker lives and what it runs.
type renewal struct {
	Instance string `json:"instance"`
	Held     []ref  `json:"held,omitempty"`
	Leaving  bool   `json:"leaving,omitempty"` // it runs nothing and takes nothing any more
}

// renewed answers it.
type renewed struct {
	Refused  string    `json:"refused,omitempty"`
	Unknown  bool      `json:"unknown,omitempty"` // the server was started since: join again
	Fenced   []ref     `json:"fenced,omitempty"`  // of what it runs, what it must stop at once
	Revision uint64    `json:"revision,omitempty"`
	Clock    time.Time `json:"clock,omitzero"` // as in welcome
}

// orders is the value of a worker's key: what it is to run.
type orders struct {
	Jobs []order `json:"jobs"`
}

// order is one attempt; Stop asks the worker to cancel it.
type order struct {
	ref
	Stop bool `json:"stop,omitempty"`
}

// head goes before the bytes of a call's part.
type head struct {
	ref
	Instance string `json:"instance"`
	ID       uint64 `json:"id"`    // of the call; counts up within an attempt
	Acked    uint64 `json:"acked"` // every call before it has been answered
	Method   string `json:"method"`
	Part     int    `json:"part"` // of Parts of the arguments
	Parts    int    `json:"parts"`
	Want     int    `json:"want,omitempty"` // not 0: that part of the answer, again
}

// answerHead goes before the bytes of an answer's part.
type answerHead struct {
	Code    string `json:"code,omitempty"` // of an error: one of experiments', or one of those below
	Message string `json:"message,omitempty"`
	Parts   int    `json:"parts,omitempty"` // of the whole answer; 0: the call is not complete yet
}

// What an answer's code may be besides experiments'.
const (
	codeFenced = "fenced"
	codeAgain  = "again" // the server does not know the beginning of the call, or not yet the worker: say it all again
)

// headKey is the header of a message with its head, as JSON.
const headKey = "Triality"

// partBytes bounds one message; NATS servers take a megabyte unless told otherwise.
const partBytes = 512 << 10

// parted cuts bytes into parts of which none is too large for a message; no bytes are one part.
func parted(b []byte) [][]byte {
	parts := [][]byte{}
	for len(b) > partBytes {
		parts, b = append(parts, b[:partBytes]), b[partBytes:]
	}
	return append(parts, b)
}

var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// CheckName says whether a worker may be called so.
func CheckName(name string) error {
	if !validName.MatchString(name) {
		return experiments.Errorf(experiments.CodeInvalid, "worker name %.80q: want 1 to 63 letters, digits, - and _, the first no sign", name)
	}
	return nil
}

// What a worker does has a subject of its own, so that NATS can keep workers apart.
const (
	subjectPrefix = "triality.worker."
	verbJoin      = "join"
	verbRenew     = "renew"
	verbCall      = "call"
	verbTell      = "tell" // a call without an answer: progress
	bucket        = "triality_workers"
)

func subject(worker, verb string) string { return subjectPrefix + worker + "." + verb }

func inboxPrefix(worker string) string { return "_INBOX_triality." + worker }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("fleet: %T: %v", v, err)) // structs of strings and numbers
	}
	return b
}
