// Package holdup is for tests of what holds up what: it measures for how long the machine itself keeps a program waiting
// that does next to nothing, in a process of its own, while the tested one works. A test that bounds the time of an
// answer adds it to its bound, so that it notices a lock and not a busy machine.
package holdup

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// asked tells the test binary that it is the process which measures.
const asked = "TRIALITY_TEST_HOLDUP"

func init() {
	if os.Getenv(asked) == "1" {
		if err := measure(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "holdup:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// During does work and gives the slowest answer that a program without anything else to do gave meanwhile, over the
// loopback to itself, asked every two milliseconds.
func During(t testing.TB, work func()) time.Duration {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asked+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stdout)
	if _, err := said.ReadString('\n'); err != nil { // it measures
		t.Fatal("holdup:", err)
	}
	work()
	stdin.Close()
	var nanoseconds int64
	if _, err := fmt.Fscan(said, &nanoseconds); err != nil {
		t.Error("holdup:", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error("holdup:", err)
	}
	return time.Duration(nanoseconds)
}

// measure says when it has begun, goes on until in ends, and then says what it saw, in nanoseconds.
func measure(in io.Reader, out io.Writer) error {
	answers, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer answers.Close()
	go func() {
		c, err := answers.Accept()
		if err == nil {
			_, _ = io.Copy(c, c) // an error is the asking side's, too
		}
	}()
	c, err := net.Dial("tcp", answers.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	var ended sync.WaitGroup
	stop := make(chan struct{})
	ended.Go(func() {
		_, _ = io.Copy(io.Discard, in) // whatever ends it
		close(stop)
	})
	var slowest time.Duration
	due := time.Now() // waiting for a turn counts
	for begun := false; ; {
		if _, err := c.Write([]byte{0}); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			return err
		}
		if !begun { // the first one waits for the connection
			begun = true
			if _, err := fmt.Fprintln(out, "measuring"); err != nil {
				return err
			}
		} else {
			slowest = max(slowest, time.Since(due))
		}
		const between = 2 * time.Millisecond
		due = time.Now().Add(between)
		select {
		case <-stop:
			ended.Wait()
			_, err := fmt.Fprintln(out, slowest.Nanoseconds())
			return err
		case <-time.After(between):
		}
	}
}
