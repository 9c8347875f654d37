// Command testcount runs test commands, shows what fails and sums the results of all of them.
//
//	testcount [-file F] reset               starts a new sum
//	testcount [-file F] run NAME CMD [ARG]  runs one suite and adds its counts to the sum
//	testcount [-file F] skip NAME REASON    counts a suite that cannot run here as one skipped test
//	testcount [-file F] sum                 prints "N passed, N failed, N skipped"; fails if anything failed
//
// CMD is `go test -json`, `node --test` (alone or under npm) or any other program. A program that fails
// without naming a failed test counts as one failure, so nothing that went wrong is lost. run itself
// succeeds when the suite's tests fail: the suites after it run too, and sum has the last word.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	if !errors.Is(err, errFailed) {
		fmt.Fprintln(os.Stderr, "testcount:", err)
	}
	os.Exit(1)
}

func run(args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("testcount", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("file", filepath.Join("bin", "testcount.jsonl"), "where the counts of each suite are kept")
	if err := flags.Parse(args); err != nil {
		return err
	}
	args = flags.Args()
	switch {
	case len(args) == 1 && args[0] == "reset":
		return reset(*file)
	case len(args) >= 3 && args[0] == "run":
		s, err := runSuite(args[1], args[2:], stdout, stderr)
		if err != nil {
			return err
		}
		return record(*file, s)
	case len(args) >= 3 && args[0] == "skip":
		fmt.Fprintf(stdout, "== %s: skipped: %s\n", args[1], strings.Join(args[2:], " "))
		return record(*file, suite{Name: args[1], counts: counts{Skipped: 1}})
	case len(args) == 1 && args[0] == "sum":
		return sum(*file, stdout)
	}
	return fmt.Errorf("usage: testcount [-file F] reset | run NAME CMD [ARG...] | skip NAME REASON | sum")
}

// runSuite runs one command, passing its output on as readable text, and counts its tests.
func runSuite(name string, command []string, stdout, stderr io.Writer) (suite, error) {
	fmt.Fprintf(stdout, "== %s\n", name)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return suite{}, err
	}
	if err := cmd.Start(); err != nil {
		return suite{}, fmt.Errorf("suite %s: %w", name, err)
	}
	c, readErr := count(pipe, stdout)
	waitErr := cmd.Wait()
	if readErr != nil {
		return suite{}, fmt.Errorf("suite %s: read output: %w", name, readErr)
	}
	var exit *exec.ExitError
	if waitErr != nil && !errors.As(waitErr, &exit) {
		return suite{}, fmt.Errorf("suite %s: %w", name, waitErr)
	}
	if waitErr != nil && c.Failed == 0 {
		c.Failed = 1
	}
	if waitErr != nil {
		fmt.Fprintf(stdout, "== %s FAILED: %v\n", name, waitErr)
	}
	return suite{Name: name, counts: c}, nil
}
