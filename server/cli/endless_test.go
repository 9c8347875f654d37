//go:build linux

package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"triality/experiments"
	"triality/frontend"
)

// Each path of a configuration leads to what never ends or is no file; each run fails by itself, or is
// cancelled, and the server answers throughout and ends when told to.
func TestAServerOutlivesEveryPathThatLeadsNowhere(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	dir := killFolder(t, 1)
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "s")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := &tracker{dir: dir}
	s.start(t)
	defer s.cmd.Process.Kill() // where the test fails
	c := s.client(t)
	base := fmt.Sprintf(pipelineYAML, 1)
	for _, key := range []string{
		"data: {input_path: %s}", "model: {base_model: %s}", "model: {base_model: new, create: {shape: micro, text: %s}}", "output_dir: %s",
		"test: {test_data_path: %s}", "test: {model_a_path: %s}", "test: {model_b_path: %s}", "test: {metrics: [{module: %s}]}",
	} {
		for _, path := range []string{pipe, "/dev/zero", socket, dir} {
			section, _, _ := strings.Cut(key, ":")
			if section == "output_dir" && path == dir {
				continue // a folder is what it wants
			}
			var kept []string // the section's own line of the base goes
			for line := range strings.Lines(base) {
				if !strings.HasPrefix(line, section+":") {
					kept = append(kept, line)
				}
			}
			config := strings.Join(kept, "") + fmt.Sprintf(key, path) + "\n"
			run, err := c.Submit(context.Background(), config, "", dir)
			if err != nil {
				t.Errorf("%s: %v", fmt.Sprintf(key, path), err)
				continue
			}
			for deadline := time.Now().Add(time.Minute); !run.Status.Done() && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
				if run, err = c.Run(context.Background(), run.ID); err != nil {
					t.Fatalf("%s: the server does not answer: %v", fmt.Sprintf(key, path), err)
				}
			}
			if run.Status != experiments.Failed || run.Job.Attempt != 1 {
				t.Errorf("%s: the run is %s after %d attempts: %s", fmt.Sprintf(key, path), run.Status, run.Job.Attempt, run.Error)
			}
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("the server does not end")
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "server.json")); err == nil {
		t.Error("a server that ended left its door open")
	}
}
