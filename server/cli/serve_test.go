package cli

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"triality/server/client"
)

// serves starts the server, asks it for paths, and ends it with a signal:
// serves DATA PATH …
func serves(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serves DATA PATH …")
	}
	exe, err := os.Executable()
	ts.Check(err)
	cmd := &exec.Cmd{Path: exe, Args: []string{"triality", "serve", "--addr", "127.0.0.1:0", "--data", args[0]}, Dir: ts.MkAbs("."), WaitDelay: 10 * time.Second}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	defer cmd.Process.Kill() // after a failure below; else it has ended
	line, err := bufio.NewReader(out).ReadString('\n')
	ts.Check(err)
	_, url, ok := strings.Cut(strings.TrimSpace(line), "listening on ")
	if !ok {
		ts.Fatalf("the server said %q", line)
	}
	client := http.Client{Timeout: 20 * time.Second}
	for _, path := range args[1:] {
		res, err := client.Get(url + path)
		ts.Check(err)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		ts.Check(err)
		if res.StatusCode != http.StatusOK || len(body) == 0 {
			ts.Fatalf("%s answered %s: %s", path, res.Status, body)
		}
	}
	if runtime.GOOS == "windows" {
		return // there is no interrupt to send to another process
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("the server ended with %v", err)
	}
}

// background starts a server that runs until the script ends, and waits until it answers; started again it
// takes the place of one that was killed: background DATA
func background(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: background DATA [FLAGS]")
	}
	exe, err := os.Executable()
	ts.Check(err)
	cmd := &exec.Cmd{Path: exe, Args: append([]string{"triality", "serve", "--addr", "127.0.0.1:0", "--data", args[0]}, args[1:]...), Dir: ts.MkAbs("."), WaitDelay: 10 * time.Second}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		cmd.Process.Kill() // it may have ended
		cmd.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		ts.Fatalf("the server did not start: %v", err)
	}
	for range 2000 { // it writes how it is reached a moment later
		if _, ok := client.Of(context.Background(), ts.MkAbs(args[0])); ok {
			ts.Setenv("SERVER", strconv.Itoa(cmd.Process.Pid))
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	ts.Fatalf("the server is not reached")
}

// killed ends the process whose number is given, at once: killed PID
func killed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: killed PID")
	}
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	p, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(p.Kill())
	for range 2000 { // its parent is this process, which has not waited for it yet: its port is what counts
		if _, ok := client.Of(context.Background(), ts.MkAbs("data")); !ok {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	ts.Fatalf("process %d still answers", pid)
}
