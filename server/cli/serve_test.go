package cli

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
