package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// suite is one run test command: one JSON line of the file that holds the sum.
type suite struct {
	Name string
	counts
}

func reset(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, nil, 0o644)
}

func record(file string, s suite) error {
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("no sum to add to (run `testcount reset` first): %w", err)
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// errFailed says that tests failed; what failed is already printed.
var errFailed = errors.New("tests failed")

// sum prints the total of the recorded suites and fails where one of them did.
func sum(file string, w io.Writer) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var total counts
	var failed []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var s suite
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		total.add(s.counts)
		if s.Failed > 0 {
			failed = append(failed, s.Name)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	switch { // said before the counts, so that the counts are the last line
	case len(failed) > 0:
		fmt.Fprintln(w, "failed:", strings.Join(failed, ", "))
		err = errFailed
	case total.Passed == 0:
		fmt.Fprintln(w, "no test ran")
		err = errFailed
	}
	fmt.Fprintf(w, "%d passed, %d failed, %d skipped\n", total.Passed, total.Failed, total.Skipped)
	return err
}
