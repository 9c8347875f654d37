// Package cli is the command line: it reads flags, opens what a command needs and calls the layers
// below.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

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
	ExitInterrupted = 130 // stopped by a signal; the same command resumes
)

// command is one command of the program.
type command struct {
	name    string // "model init"
	args    string // positional arguments, for the usage line
	summary string
	// setup declares flags and gives what runs the command with the positional arguments.
	setup func(e *env, fs *flag.FlagSet) func(ctx context.Context, args []string) error
}

// env is what commands share.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

func commands() []command {
	return slices.Concat(jobCommands(), stepCommands(), modelCommands(), hubCommands(), serverCommands(), metricCommands(), benchCommands(), toolCommands())
}

// Main runs a command line and gives the exit status.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	err := e.run(ctx, args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return ExitOK
	}
	var usage usageError
	if !errors.As(err, &usage) || usage.message != "" {
		fmt.Fprintf(stderr, "triality: %v\n", err)
	}
	switch {
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

// usageError is a wrong command line; an empty message was printed already.
type usageError struct{ message string }

func (u usageError) Error() string { return u.message }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

func (e *env) run(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		e.overview()
		return nil
	}
	cmd, rest, ok := find(args)
	if !ok {
		return usagef("unknown command %q; `triality help` lists the commands", strings.Join(args[:min(2, len(args))], " "))
	}
	fs := flag.NewFlagSet("triality "+cmd.name, flag.ContinueOnError)
	fs.SetOutput(e.stderr)
	fs.Usage = func() {
		fmt.Fprintf(e.stderr, "usage: triality %s\n\n%s\n", strings.TrimSpace(cmd.name+" [flags] "+cmd.args), cmd.summary)
		fs.VisitAll(func(f *flag.Flag) {
			value, text := flag.UnquoteUsage(f)
			if f.DefValue != "" && f.DefValue != "false" && !strings.Contains(text, "default:") {
				text += fmt.Sprintf(" (default: %s)", f.DefValue)
			}
			fmt.Fprintf(e.stderr, "  %-26s %s\n", strings.TrimSpace("--"+f.Name+" "+value), text)
		})
	}
	do := cmd.setup(e, fs)
	positional, err := parse(fs, rest)
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	if err != nil {
		return usageError{} // the flag package has printed it
	}
	return do(ctx, positional)
}

// parse lets flags stand before, between and after the positional arguments.
func parse(fs *flag.FlagSet, args []string) (positional []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return positional, nil
		}
		positional = append(positional, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// find matches the longest command name at the start of args.
func find(args []string) (cmd command, rest []string, ok bool) {
	for n := min(2, len(args)); n > 0; n-- {
		name := strings.Join(args[:n], " ")
		for _, c := range commands() {
			if c.name == name {
				return c, args[n:], true
			}
		}
	}
	return command{}, nil, false
}

func (e *env) overview() {
	fmt.Fprint(e.stdout, "triality runs experiments on language models and tracks them.\n\nusage: triality COMMAND [flags]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(e.stdout, "  %-32s %s\n", strings.TrimSpace(c.name+" "+c.args), c.summary)
	}
	fmt.Fprint(e.stdout, "\n`triality COMMAND --help` shows a command's flags.\n"+
		"exit status: 0 done, 1 failed, 2 wrong usage or input, 3 port or database taken, 130 interrupted\n")
}

// need is an error for a flag that was left out.
func need(flags map[string]string) error {
	var missing []string
	for name, v := range flags {
		if v == "" {
			missing = append(missing, "--"+name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return usagef("%s is needed", strings.Join(missing, ", "))
	}
	return nil
}
