// Package cli is the command line: it reads flags, opens what a command needs and calls the layers
// below.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"triality/experiments"
)

// Version is the program's version.
const Version = "0.1.0"

// Exit statuses.
const (
	ExitOK          = 0
	ExitFailed      = 1   // the command failed
	ExitInvalid     = 2   // wrong usage or bad input: the message says what to mend
	ExitUnavailable = 3   // something it needs is taken: the port, the database
	ExitNotShipped  = 4   // with --gate: B must not take A's place
	ExitInterrupted = 130 // stopped by a signal; the same command resumes
)

// env is what commands share.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	json           bool     // results are printed as JSON
	notes          []string // what a step that ran alone said
	allowUnknown   bool     // with --allow-unknown-config
	gated          bool     // with --gate
}

// Main runs a command line and gives the exit status.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out, messages := screened(stdout), screened(stderr)
	status := run(ctx, args, &env{stdin: stdin, stdout: out, stderr: messages})
	// What cannot be written there can be told nowhere.
	_, _ = out.Flush(), messages.Flush()
	return status
}

func run(ctx context.Context, args []string, e *env) int {
	root := newRoot(e)
	root.SetArgs(args)
	if len(args) == 0 {
		root.SetArgs([]string{}) // cobra would read the process's own
	}
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(e.stderr, "triality: %v\n", err)
	var usage usageError
	var gate gateError
	switch {
	case errors.As(err, &gate):
		return ExitNotShipped
	case ctx.Err() != nil:
		return ExitInterrupted
	case errors.As(err, &usage):
		return ExitInvalid
	}
	switch experiments.CodeOf(err) {
	case experiments.CodeInvalid, experiments.CodeNotFound, experiments.CodeConflict, experiments.CodeTooLarge:
		return ExitInvalid
	case experiments.CodeUnavailable:
		return ExitUnavailable
	}
	return ExitFailed
}

// usageError is a wrong command line.
type usageError struct{ message string }

func (u usageError) Error() string { return u.message }

// gateError is a verdict that keeps B from taking A's place, with --gate.
type gateError struct{ sentence string }

func (g gateError) Error() string { return g.sentence }

// gate fails, with --gate, unless the verdict is that B ships: what the rows do not show has not been shown.
func (e *env) gate(r *experiments.ABResult) error {
	switch {
	case !e.gated || r != nil && r.Inference != nil && r.Inference.Verdict.Ships():
		return nil
	case r == nil || r.Inference == nil:
		return gateError{"--gate: there is no A/B test with a verdict"}
	}
	return gateError{"--gate: " + r.Inference.Verdict.Text["en"]}
}

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// need is an error for a flag that was left out.
func need(flags map[string]string) error {
	var missing []string
	for name, v := range flags {
		if v == "" {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return usagef("%s is needed", joined(missing))
}
