package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// counts are numbers of test cases.
type counts struct {
	Passed, Failed, Skipped int
}

func (c *counts) add(d counts) {
	c.Passed += d.Passed
	c.Failed += d.Failed
	c.Skipped += d.Skipped
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// nodeTotal is a line of node:test's closing summary, as its TAP ("# pass 3") and spec ("ℹ pass 3")
// reporters print it.
var nodeTotal = regexp.MustCompile(`^\s*(?:#|ℹ) (pass|fail|cancelled|skipped|todo) (\d+)$`)

// plainTotal is the last line of the project's own reporter for node:test (frontend/tests/reporter.mjs).
var plainTotal = regexp.MustCompile(`^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$`)

// count reads a test program's output, copies to w what a person needs to see of it, and counts.
// Lines of `go test -json` are shown only where a test or package fails; other lines pass unchanged.
func count(r io.Reader, w io.Writer) (counts, error) {
	var total counts
	goTests := goCounter{w: w, packages: map[string]*packageTests{}}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			var e event
			if line[0] == '{' && json.Unmarshal([]byte(line), &e) == nil && e.Action != "" {
				goTests.handle(e)
			} else {
				io.WriteString(w, line)
				total.add(nodeCounts(line))
			}
		}
		if errors.Is(err, io.EOF) {
			total.add(goTests.total)
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func nodeCounts(line string) counts {
	line = strings.TrimRight(line, "\r\n")
	if m := plainTotal.FindStringSubmatch(line); m != nil {
		return counts{Passed: number(m[1]), Failed: number(m[2]), Skipped: number(m[3])}
	}
	m := nodeTotal.FindStringSubmatch(line)
	if m == nil {
		return counts{}
	}
	switch n := number(m[2]); m[1] {
	case "pass":
		return counts{Passed: n}
	case "fail", "cancelled":
		return counts{Failed: n}
	default: // skipped, and todo, which node:test does not count as skipped
		return counts{Skipped: n}
	}
}

// number reads digits that a pattern matched; none are 0.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// goCounter counts the leaves of the tree of tests and subtests; a parent counts only where it failed
// on its own account.
type goCounter struct {
	w        io.Writer
	packages map[string]*packageTests
	total    counts
}

type packageTests struct {
	output   map[string][]string // by test; "" is the package's own
	running  []string
	parents  map[string]bool
	failures map[string]bool // tests that failed, and their parents
}

func (g *goCounter) handle(e event) {
	if e.Action == "build-output" {
		io.WriteString(g.w, e.Output)
		return
	}
	if e.Package == "" {
		return
	}
	p := g.packages[e.Package]
	if p == nil {
		p = &packageTests{output: map[string][]string{}, parents: map[string]bool{}, failures: map[string]bool{}}
		g.packages[e.Package] = p
	}
	switch e.Action {
	case "run":
		p.running = append(p.running, e.Test)
		for t := parent(e.Test); t != ""; t = parent(t) {
			p.parents[t] = true
		}
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			g.endPackage(p, e)
		} else {
			g.endTest(p, e.Test, e.Action)
		}
	}
}

func (g *goCounter) endTest(p *packageTests, test, action string) {
	p.running = slices.DeleteFunc(p.running, func(t string) bool { return t == test })
	leaf := !p.parents[test]
	switch {
	case action == "fail":
		g.show(p.output[test])
		if !p.failures[test] {
			g.total.Failed++
		}
		for t := test; t != ""; t = parent(t) {
			p.failures[t] = true
		}
	case action == "skip" && leaf:
		g.show(p.output[test]) // the reason
		g.total.Skipped++
	case action == "pass" && leaf:
		g.total.Passed++
	}
	delete(p.output, test)
}

func (g *goCounter) endPackage(p *packageTests, e event) {
	for _, test := range slices.Backward(p.running) { // a crash leaves tests without an end
		g.endTest(p, test, "fail")
	}
	switch e.Action {
	case "fail":
		g.show(p.output[""])
		if len(p.failures) == 0 {
			g.total.Failed++
		}
	case "pass":
		fmt.Fprintf(g.w, "ok    %s (%.1f s)\n", e.Package, e.Elapsed)
	}
	delete(g.packages, e.Package)
}

func (g *goCounter) show(output []string) {
	for _, s := range output {
		if strings.HasPrefix(s, "=== ") { // RUN, PAUSE, CONT
			continue
		}
		io.WriteString(g.w, s)
	}
}

func parent(test string) string {
	i := strings.LastIndexByte(test, '/')
	return test[:max(i, 0)]
}
