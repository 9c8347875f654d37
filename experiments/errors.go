package experiments

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an error is, so that a caller can decide on it: the HTTP layer maps
// it to a status, the command line to an exit status.
type Code string

const (
	CodeInvalid     Code = "invalid"         // the request or the input is wrong: mend it
	CodeNotFound    Code = "not_found"       // no such thing
	CodeConflict    Code = "conflict"        // it exists already, or is in another state
	CodeTooLarge    Code = "too_large"       // over a limit
	CodeUnavailable Code = "unavailable"     // locked, busy, shutting down
	CodeUnknown     Code = "outcome_unknown" // it may have been done, or not: ask again, with the same idempotency key
	CodeInternal    Code = "internal"        // a fault of ours
)

// Error is an error with a code.
type Error struct {
	Code    Code
	Details map[string]any // optional, shown to API clients
	err     error
}

// Error is the message.
func (e *Error) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.err }

// Errorf makes an Error; format and args are those of fmt.Errorf.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, err: fmt.Errorf(format, args...)}
}

// CodeOf is the code of the first Error in err's chain, CodeInternal when there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
