package sandbox

import (
	"fmt"
	"strings"
)

// Code says why a metric could not be run. It is an error itself, so that
// errors.Is(err, ErrTimeout) works.
type Code string

// The codes.
const (
	ErrRejected      Code = "rejected"       // preflight or the compiler refused the module
	ErrTimeout       Code = "timeout"        // a deadline or the processor limit passed; the worker was killed
	ErrFuel          Code = "fuel"           // it ran more instructions than allowed, whatever the machine
	ErrMemory        Code = "memory"         // the module or its compilation needed more memory than allowed
	ErrTrap          Code = "trap"           // the module trapped or called proc_exit
	ErrInvalidResult Code = "invalid_result" // what the module returned breaks the interface
	ErrMetric        Code = "metric"         // the metric itself returned an error text
	ErrInput         Code = "input"          // the table or the parameters do not suit the metric
	ErrBusy          Code = "busy"           // too many wait for the same already
	ErrCanceled      Code = "canceled"       // the caller's context ended
	ErrWorker        Code = "worker"         // the worker could not be started or died for no reason of the module's
)

func (c Code) Error() string { return "metric sandbox: " + string(c) }

// Error is every error of this package.
type Error struct {
	Code    Code
	Phase   string // what the worker was doing: "compile", "metric_eval", …; empty outside it
	Message string
	Log     string // what the module wrote to stdout and stderr, capped
	Err     error  // the cause, where there is one

	fuel int64 // used up to the failure
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("metric module: ")
	if e.Phase != "" {
		b.WriteString(e.Phase + ": ")
	}
	b.WriteString(e.Message)
	if e.Err != nil {
		if e.Message != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}

func failf(code Code, phase, format string, args ...any) *Error {
	return &Error{Code: code, Phase: phase, Message: fmt.Sprintf(format, args...)}
}
