//go:build unix

// Command mutants changes a package in small ways, one at a time, and prints the changes that no test of the package
// notices. It compiles the package once, with every change in it, and each run of the tests turns one of them on. A
// first run of every test by itself records which changes it reaches and how long it takes, so that a change is tried
// by those tests alone, the quick ones first. It writes into the folder of the package: give it a copy.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"sort"
	"strings"
	"time"
)

func main() {
	var o options
	skip := flag.String("skip", "", "leave out the tests whose names match this regular expression")
	only := flag.String("files", "", "change only the files whose names match this regular expression")
	flag.DurationVar(&o.slow, "slow", time.Minute, "leave out the tests that take longer than this")
	flag.IntVar(&o.patience, "patience", 10, "a change that takes the tests' time this many times, and 10 s, is endless")
	again := flag.String("again", "", "try only the changes that this file, what an earlier run printed, says lived or were not reached")
	flag.StringVar(&o.tests, "tests", "", "run the tests in this folder instead of the package's own")
	flag.BoolVar(&o.list, "list", false, "list the changes and run nothing")
	flag.Parse()
	o.skip, o.only = regexp.MustCompile(*skip+orNothing(*skip)), regexp.MustCompile(*only)
	if *again != "" {
		text, err := os.ReadFile(*again)
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutants:", err)
			os.Exit(1)
		}
		o.again = regexp.MustCompile(`:\d+:\d+ `).ReplaceAllString(string(text), " ") // lines may have moved
	}
	o.out = os.Stdout
	failed := false
	for _, pattern := range flag.Args() {
		if err := mutate(pattern, o); err != nil {
			fmt.Fprintf(os.Stderr, "mutants: %s: %v\n", pattern, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// orNothing makes an empty expression one that matches no name.
func orNothing(expression string) string {
	if expression == "" {
		return "^$"
	}
	return ""
}

type options struct {
	skip, only *regexp.Regexp
	slow       time.Duration
	patience   int
	again      string
	list       bool
	tests      string // the folder of the tests; empty: the package's own
	out        io.Writer
}

// mutate tries every change in the packages of a pattern.
func mutate(pattern string, o options) error {
	packages, err := load(pattern)
	if err != nil {
		return err
	}
	for _, p := range packages {
		changes, err := p.rewrite(o.only)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			continue
		}
		fmt.Fprintf(o.out, "== %s: %d changes\n", p.path, len(changes))
		if o.list {
			for _, c := range changes {
				fmt.Fprintln(o.out, c)
			}
			continue
		}
		if err := try(p, changes, o); err != nil {
			return fmt.Errorf("%s: %w", p.path, err)
		}
	}
	return nil
}

// try runs the tests of a package once for every change.
func try(p *source, changes []*change, o options) error {
	began := time.Now()
	work, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b, err := build(p, changes, work, o)
	if err != nil {
		return err
	}
	tests, err := b.measure(changes, o)
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, c := range changes {
		if o.again != "" && !strings.Contains(o.again, fmt.Sprintf("%11s %s\n", lived, c.text(""))) && !strings.Contains(o.again, fmt.Sprintf("%11s %s\n", notReached, c.text(""))) {
			continue
		}
		verdict := c.untried
		if verdict == "" {
			verdict = b.verdict(c, reaching(tests, c.id), o)
		}
		count[verdict]++
		if verdict != killed {
			fmt.Fprintf(o.out, "%11s %s\n", verdict, c)
		}
	}
	fmt.Fprintf(o.out, "%d changes in %v:", len(changes), time.Since(began).Round(time.Second))
	for _, v := range []string{killed, timedOut, lived, notReached, notTried} {
		fmt.Fprintf(o.out, " %d %s", count[v], v)
	}
	fmt.Fprintln(o.out)
	return nil
}

// The ends of a change.
const (
	killed     = "killed"      // a test failed
	timedOut   = "timed out"   // the tests did not end
	lived      = "LIVED"       // every test that reaches it passed
	notReached = "NOT REACHED" // no test gets there
	notTried   = "NOT TRIED"   // a constant, or what the rewritten code cannot say
)

// reaching lists the tests that reach a change, the likeliest to fail first for their time: those that reach little else.
func reaching(tests []*test, id int) []*test {
	var out []*test
	for _, t := range tests {
		if t.reaches[id] != 0 {
			out = append(out, t)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].cost() < out[j].cost() })
	return out
}
