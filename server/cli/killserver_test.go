//go:build linux

package cli

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/frontend"
	"triality/server/client"
	"triality/server/store"
)

// tracker is a server that is started again when it was killed.
type tracker struct {
	dir  string
	args []string // of serve, beside the usual
	cmd  *exec.Cmd
}

func (s *tracker) start(t *testing.T) {
	t.Helper()
	s.cmd = triality(t, s.dir, append([]string{"serve", "--addr", "127.0.0.1:0"}, s.args...)...)
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the server said %q: %v", line, err)
	}
}

// worker is the process of the job under way, 0 where there is none: a child of the server.
func (s *tracker) worker() int {
	for _, word := range childrenOf(s.cmd.Process.Pid) {
		pid, err := strconv.Atoi(word)
		if line, readErr := os.ReadFile("/proc/" + word + "/cmdline"); err == nil && readErr == nil && bytes.Contains(line, []byte("triality-job-worker")) {
			return pid
		}
	}
	return 0
}

// childrenOf are the processes that any thread of a process has started.
func childrenOf(pid int) (pids []string) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is one
	for _, list := range lists {
		if text, err := os.ReadFile(list); err == nil { // else the thread has ended
			pids = append(pids, strings.Fields(string(text))...)
		}
	}
	return pids
}

func (s *tracker) kill(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // it was killed
}

// client waits until the server is reached.
func (s *tracker) client(t *testing.T) *client.Client {
	t.Helper()
	for range 6000 {
		if c, ok := client.Of(context.Background(), filepath.Join(s.dir, "data")); ok {
			return c
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the server is not reached")
	return nil
}

// pipelineYAML is killYAML with the steps behind it.
const pipelineYAML = killYAML + `
so8t: {num_train_epochs: 1, per_device_train_batch_size: 4}
test: {warmup: 0, bootstrap_resamples: 100}
output_dir: work
`

func TestServerAndWorkersKilledAtRandomMomentsEndAsIfUndisturbed(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	kills := killCount(t, 5)
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d %s=%d", killsVariable, kills, seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := killFolder(t, killEpochs)
	config := fmt.Sprintf(pipelineYAML, killEpochs)

	whole := &tracker{dir: filepath.Join(dir, "whole")}
	killed := &tracker{dir: filepath.Join(dir, "killed")}
	for _, s := range []*tracker{whole, killed} {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"rows.jsonl", "model"} {
			if err := os.Symlink(filepath.Join(dir, name), filepath.Join(s.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole.start(t)
	began := time.Now()
	undisturbed := whole.finish(t, config)
	takes := time.Since(began)
	wantPoints := whole.stop(t, undisturbed)

	killed.start(t)
	t.Cleanup(func() { killed.cmd.Process.Kill() }) // where the test failed
	did := map[string]int{}
	runs := 0
	for done := 0; done < kills; {
		run, err := killed.client(t).Submit(context.Background(), config, "killed", killed.dir)
		if err != nil {
			t.Fatal(err)
		}
		for done < kills {
			time.Sleep(time.Duration(random.Int64N(int64(takes))))
			if now, err := killed.client(t).Run(context.Background(), run.ID); err != nil || now.Status.Done() {
				break
			}
			switch what := []string{"worker", "server", "both"}[random.IntN(3)]; what {
			case "worker", "both":
				pid := killed.worker()
				if p, err := os.FindProcess(pid); pid == 0 || err != nil || p.Kill() != nil { // it may have ended by itself
					continue
				}
				if what == "worker" {
					did[what]++
					break
				}
				fallthrough
			case "server":
				killed.kill(t)
				killed.start(t)
				did[what]++
			}
			done++
		}
		finished := killed.await(t, run.ID)
		sameWork(t, whole.dir, killed.dir, undisturbed, finished)
		runs++
		if done < kills {
			if err := os.RemoveAll(filepath.Join(killed.dir, "work")); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got := killed.stop(t, finished); !reflect.DeepEqual(got, wantPoints) {
			t.Errorf("points recorded:\n%v\nof the run that was never killed:\n%v", got, wantPoints)
		}
		t.Logf("killed %v; %d runs reached their end, each as the one that was never killed; the last took %d attempts", did, runs, finished.Job.Attempt)
	}
}

// finish has the server run a configuration to its end.
func (s *tracker) finish(t *testing.T, config string) experiments.Run {
	t.Helper()
	run, err := s.client(t).Submit(context.Background(), config, "whole", s.dir)
	if err != nil {
		t.Fatal(err)
	}
	return s.await(t, run.ID)
}

func (s *tracker) await(t *testing.T, id string) experiments.Run {
	t.Helper()
	for range 24_000 {
		run, err := s.client(t).Run(context.Background(), id)
		if err == nil && run.Status == experiments.Finished {
			return run
		}
		if err == nil && run.Status.Done() {
			t.Fatalf("the run is %s: %s", run.Status, run.Error)
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the run does not end")
	return experiments.Run{}
}

// stop ends the server and gives the points that a run has recorded, without their times; timings have no
// values to compare.
func (s *tracker) stop(t *testing.T, run experiments.Run) map[string][]string {
	t.Helper()
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Fatalf("the server ended with %v", err)
	}
	st, err := store.Open(filepath.Join(s.dir, "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if problems, err := st.Check(context.Background()); err != nil || len(problems) > 0 {
		t.Errorf("the store: %v %q", err, problems)
	}
	list, err := st.Series(context.Background(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	points := map[string][]string{}
	for _, series := range list {
		timing := timingSeries(series.Name)
		err := st.Points(context.Background(), run.ID, series.Name, func(_ int64, part []experiments.Point) error {
			for _, p := range part {
				text := strconv.FormatInt(p.Step, 10)
				if !timing {
					text += fmt.Sprintf(" %x", p.Value)
				}
				points[series.Name] = append(points[series.Name], text)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return points
}

// timingSeries says whether a series' values are times, which no two runs share.
func timingSeries(name string) bool {
	return strings.Contains(name, "second") || strings.Contains(name, "latency") || strings.Contains(name, "_ms")
}

// sameWork compares what two runs left on the disk, wherever their steps' keys say.
func sameWork(t *testing.T, whole, killed string, a, b experiments.Run) {
	t.Helper()
	if len(a.Steps) != len(b.Steps) {
		t.Fatalf("%d steps, want %d", len(b.Steps), len(a.Steps))
	}
	files := map[string][]string{
		"convert":  {"dataset/train/data-00000-of-00001.arrow"},
		"finetune": {"adapter/adapter_model.safetensors", "merged/model.safetensors"},
		"replace":  {"model/model.safetensors"},
	}
	for i, step := range a.Steps {
		if step.Key != b.Steps[i].Key {
			t.Errorf("%s has another key", step.Kind)
		}
		for _, name := range files[step.Kind] {
			want, errA := os.ReadFile(filepath.Join(whole, step.Output, name))
			got, errB := os.ReadFile(filepath.Join(killed, b.Steps[i].Output, name))
			if errA != nil || errB != nil || !bytes.Equal(want, got) {
				t.Errorf("%s of %s differs from that of the run that was never killed (%v, %v)", name, step.Kind, errA, errB)
			}
		}
	}
}
