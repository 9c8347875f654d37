//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// binary is a package's tests with every change in them.
type binary struct {
	path, dir, work string
}

// test is one test function of a package.
type test struct {
	name    string
	took    time.Duration
	reaches []byte // by the change's number
	many    int    // how many it reaches
}

func (t *test) cost() float64 { return t.took.Seconds() * float64(t.many) }

// build writes the changed files and compiles the tests. Lines that do not compile are left as they were.
func build(s *source, changes []*change, work string, o options) (*binary, error) {
	extra := filepath.Join(s.dir, "zz_mutants.go")
	if _, err := os.Stat(extra); err == nil {
		return nil, fmt.Errorf("%s is left of a run that was cut short, with changed code beside it: take a fresh copy", extra)
	}
	if err := os.WriteFile(extra, fmt.Appendf(nil, switches, s.Name, len(changes)+1), 0o666); err != nil {
		return nil, err
	}
	defer os.Remove(extra)
	defer func() {
		for name, text := range s.original {
			os.WriteFile(name, text, 0o666)
		}
	}()
	leave := map[string]map[int]bool{}
	b := &binary{filepath.Join(work, "tests"), s.dir, work}
	if o.tests != "" {
		dir, err := filepath.Abs(o.tests)
		if err != nil {
			return nil, err
		}
		b.dir = dir
	}
	for range 20 {
		var fresh []*change
		files, err := s.apply(leave, &fresh)
		if err != nil {
			return nil, err
		}
		for i, c := range fresh {
			changes[i].untried = c.untried
		}
		for name, text := range files {
			if err := os.WriteFile(name, text, 0o666); err != nil {
				return nil, err
			}
		}
		cmd := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-o", b.path, ".")
		cmd.Dir = b.dir
		out, err := cmd.CombinedOutput()
		if err == nil {
			if _, err := os.Stat(b.path); err != nil {
				return nil, errors.New("there are no tests")
			}
			return b, nil
		}
		if !dismiss(s, b.dir, leave, string(out)) {
			return nil, fmt.Errorf("%w:\n%s", err, out)
		}
	}
	return nil, errors.New("the changed code does not compile")
}

var located = regexp.MustCompile(`(?m)^(?:vet: )?(\S+\.go):(\d+):`)

// dismiss notes the lines that the report of a compiler in dir names. It says whether there was a new one.
func dismiss(s *source, dir string, leave map[string]map[int]bool, report string) bool {
	found := false
	for _, m := range located.FindAllStringSubmatch(report, -1) {
		name := m[1]
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		line, _ := strconv.Atoi(m[2])
		if _, ours := s.original[name]; !ours || leave[name][line] {
			continue
		}
		if leave[name] == nil {
			leave[name] = map[int]bool{}
		}
		leave[name][line], found = true, true
	}
	return found
}

// measure runs every test by itself.
func (b *binary) measure(changes []*change, o options) ([]*test, error) {
	out, err := b.command(context.Background(), "-test.list=.").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the tests: %w", err)
	}
	var tests []*test
	for _, name := range strings.Fields(string(out)) {
		if strings.HasPrefix(name, "Benchmark") || o.skip.MatchString(name) {
			continue
		}
		t := &test{name: name}
		reached := filepath.Join(b.work, "reached")
		if err := os.WriteFile(reached, make([]byte, len(changes)+1), 0o666); err != nil {
			return nil, err
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), o.slow)
		cmd := b.command(ctx, "-test.run=^"+name+"$")
		cmd.Env = append(cmd.Env, "MUTANTS_REACHED="+reached)
		text, err := cmd.CombinedOutput()
		cancel()
		t.took = time.Since(began)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			fmt.Fprintf(o.out, "%11s %s takes more than %v\n", "left out", name, o.slow)
			continue
		}
		if err != nil {
			fmt.Fprintf(o.out, "%11s %s fails on the code as it is:\n%s\n", "left out", name, text)
			continue
		}
		if t.reaches, err = os.ReadFile(reached); err != nil {
			return nil, err
		}
		t.many = bytes.Count(t.reaches, []byte{1})
		tests = append(tests, t)
	}
	return tests, nil
}

// verdict turns a change on and runs the tests, in groups of which each takes about twice the time of the one before.
func (b *binary) verdict(c *change, tests []*test, o options) string {
	if len(tests) == 0 {
		return notReached
	}
	for room := 200 * time.Millisecond; len(tests) > 0; room *= 2 {
		var names []string
		var took time.Duration
		for _, t := range tests {
			if len(names) > 0 && took+t.took > room {
				break
			}
			names, took = append(names, t.name), took+t.took
		}
		tests = tests[len(names):]
		limit := took*time.Duration(o.patience) + 10*time.Second
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		cmd := b.command(ctx, "-test.failfast", "-test.run=^("+strings.Join(names, "|")+")$")
		cmd.Env = append(cmd.Env, "MUTANT="+strconv.Itoa(c.id))
		err := cmd.Run()
		cancel()
		switch {
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			return timedOut
		case err != nil:
			return killed
		}
	}
	return lived
}

// command runs the tests with a temporary folder of their own, which goes, and bounded memory: a change can make a
// loop that allocates without end.
func (b *binary) command(ctx context.Context, args ...string) *exec.Cmd {
	temp := filepath.Join(b.work, "temp")
	os.RemoveAll(temp)
	os.Mkdir(temp, 0o777)
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", `ulimit -d 6000000; exec "$@"`, "sh", b.path}, args...)...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}
