//go:build linux

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"triality/experiments"
	"triality/frontend"
)

// machines are three workers in network namespaces of their own, joined to this one's by a bridge. Each has clocks that
// run an hour or two ahead of the others'.
type machines struct {
	dir, join string
	workers   [3]*exec.Cmd
}

const bridge, bridgeAddress = "trlbr0", "10.213.77.1"

func namespace(i int) string { return fmt.Sprintf("trl-w%d", i) }
func link(i int) string      { return fmt.Sprintf("trlv%d", i) }

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// networks makes the namespaces, or skips where that is not possible.
func networks(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "unshare"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	tidy := func() {
		for i := range 3 {
			_ = exec.Command("ip", "netns", "del", namespace(i)).Run() // it may not be there
			_ = exec.Command("ip", "link", "del", link(i)).Run()
		}
		_ = exec.Command("ip", "link", "del", bridge).Run()
	}
	tidy()
	t.Cleanup(tidy)
	if out, err := exec.Command("ip", "link", "add", bridge, "type", "bridge").CombinedOutput(); err != nil {
		t.Skipf("no bridge can be made here: %s", out)
	}
	ip(t, "addr", "add", bridgeAddress+"/24", "dev", bridge)
	ip(t, "link", "set", bridge, "up")
	for i := range 3 {
		if out, err := exec.Command("ip", "netns", "add", namespace(i)).CombinedOutput(); err != nil {
			t.Skipf("no network namespace can be made here: %s", out)
		}
		ip(t, "link", "add", link(i), "type", "veth", "peer", "name", "eth0", "netns", namespace(i))
		ip(t, "link", "set", link(i), "master", bridge, "up")
		ip(t, "-n", namespace(i), "addr", "add", fmt.Sprintf("10.213.77.%d/24", 10+i), "dev", "eth0")
		ip(t, "-n", namespace(i), "link", "set", "eth0", "up")
		ip(t, "-n", namespace(i), "link", "set", "lo", "up")
	}
}

// start starts a worker; what it says goes to a file.
func (m *machines) start(t *testing.T, i int) {
	t.Helper()
	exe, err := exec.LookPath("triality") // of testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.OpenFile(filepath.Join(m.dir, fmt.Sprintf("worker%d.out", i)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	hours := strconv.Itoa(3600 * i)
	m.workers[i] = exec.Command("ip", "netns", "exec", namespace(i), "unshare", "--time", "--monotonic", hours, "--boottime", hours, "--fork", "--kill-child",
		exe, "worker", "--join", m.join, "--token-file", filepath.Join(m.dir, "token"), "--dir", filepath.Join(m.dir, fmt.Sprintf("worker%d", i)), "--name", fmt.Sprintf("w%d", i))
	m.workers[i].Stdout, m.workers[i].Stderr = out, out
	m.workers[i].SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := m.workers[i].Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends a worker with all it has started, as when its machine fails.
func (m *machines) kill(i int) {
	if m.workers[i] != nil {
		_ = syscall.Kill(-m.workers[i].Process.Pid, syscall.SIGKILL) // it may have ended
		_ = m.workers[i].Wait()
	}
}

// jobOf is a job's process below a process; 0 where there is none.
func jobOf(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	for _, word := range strings.Fields(string(text)) {
		child, _ := strconv.Atoi(word)
		if line, err := os.ReadFile("/proc/" + word + "/cmdline"); err == nil && strings.Contains(string(line), "triality-job-worker") {
			return child
		}
		if found := jobOf(child); found != 0 {
			return found
		}
	}
	return 0
}

// seededYAML is a job of its own.
func seededYAML(i int) string {
	return fmt.Sprintf(pipelineYAML, killEpochs) + fmt.Sprintf("seed: %d\n", 100+i)
}

func TestJobsOnThreeMachinesEndOnceAsIfUndisturbedWhileMachinesLinksAndServersFail(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	networks(t)
	kills, jobs := killCount(t, 3), 2
	if kills > 3 {
		jobs = 8
	}
	t.Run("NATS inside the server", func(t *testing.T) { disturb(t, kills, jobs, false) })
	if kills > 3 {
		t.Run("NATS of its own", func(t *testing.T) { disturb(t, kills, jobs, true) })
	}
}

// fleetOf is a server with three workers; NATS is a process of its own where outside holds.
type fleetOf struct {
	*tracker
	machines
	nats *exec.Cmd
}

const natsPort, natsToken = "14222", "a-token-of-the-tests"

func newFleet(t *testing.T, dir, name string, outside bool) *fleetOf {
	t.Helper()
	f := &fleetOf{tracker: &tracker{dir: filepath.Join(dir, name, "server")}, machines: machines{dir: filepath.Join(dir, name)}}
	if err := os.MkdirAll(f.tracker.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(f.tracker.dir, "model"), os.DirFS(filepath.Join(dir, "model"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.tracker.dir, "rows.jsonl"), []byte(rows(64)), 0o644); err != nil {
		t.Fatal(err)
	}
	tokenFile := filepath.Join(f.machines.dir, "token")
	f.join = "nats://" + bridgeAddress + ":" + natsPort
	f.args = []string{"--workers-only", "--workers-lease", "3s", "--workers", bridgeAddress + ":" + natsPort}
	if outside {
		if err := os.WriteFile(tokenFile, []byte(natsToken), 0o600); err != nil {
			t.Fatal(err)
		}
		f.args = []string{"--workers-only", "--workers-lease", "3s", "--workers", f.join, "--workers-token-file", tokenFile}
		f.startNATS(t)
	} else {
		mustRun(t, f.tracker.dir, "worker", "token", "--output", tokenFile)
	}
	f.tracker.start(t)
	for i := range 3 {
		f.machines.start(t, i)
	}
	t.Cleanup(f.stopAll)
	return f
}

func (f *fleetOf) stopAll() {
	for i := range 3 {
		f.machines.kill(i)
	}
	_ = f.cmd.Process.Kill() // it may have ended
	if f.nats != nil {
		_ = f.nats.Process.Kill()
		_ = f.nats.Wait()
	}
}

func (f *fleetOf) startNATS(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f.nats = &exec.Cmd{Path: exe, Args: []string{"natsserver", bridgeAddress, natsPort, filepath.Join(f.machines.dir, "nats"), natsToken}}
	if err := f.nats.Start(); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if exec.Command("bash", "-c", "</dev/tcp/"+bridgeAddress+"/"+natsPort).Run() == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("the NATS server does not start")
}

// submit queues the jobs.
func (f *fleetOf) submit(t *testing.T, jobs int) []experiments.Run {
	t.Helper()
	var runs []experiments.Run
	for i := range jobs {
		run, err := f.client(t).Submit(context.Background(), seededYAML(i), fmt.Sprintf("job %d", i), f.tracker.dir)
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, run)
	}
	return runs
}

// awaitAll gives the runs as they ended; what the workers said is shown where one does not.
func (f *fleetOf) awaitAll(t *testing.T, runs []experiments.Run) {
	t.Helper()
	defer func() {
		if t.Failed() {
			for i := range 3 {
				text, _ := os.ReadFile(filepath.Join(f.machines.dir, fmt.Sprintf("worker%d.out", i)))
				t.Logf("worker %d:\n%s", i, text)
			}
		}
	}()
	for i := range runs {
		runs[i] = f.await(t, runs[i].ID)
	}
}

func disturb(t *testing.T, kills, jobs int, outside bool) {
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

	whole := newFleet(t, dir, "whole", outside)
	began := time.Now()
	want := whole.submit(t, jobs)
	whole.awaitAll(t, want)
	undisturbed := time.Since(began)
	wantPoints := []map[string][]string{}
	for i := range 3 {
		whole.machines.kill(i)
	}
	for _, run := range want {
		wantPoints = append(wantPoints, whole.points(t, run))
	}
	whole.stopAll()

	f := newFleet(t, dir, "disturbed", outside)
	did := map[string]int{}
	ways := []string{"machine", "link", "job", "server"}
	if outside {
		ways = append(ways, "NATS")
	}
	var lost time.Duration
	rounds, attempts := 0, 0
	for done := 0; done < kills || rounds == 0; rounds++ {
		if err := os.RemoveAll(filepath.Join(f.tracker.dir, "work")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		runs := f.submit(t, jobs)
		for done < kills {
			time.Sleep(time.Duration(random.Int64N(int64(undisturbed) / int64(min(jobs, 4)))))
			if queue, err := f.client(t).Queue(context.Background()); err == nil && len(queue) == 0 {
				break
			}
			if done%len(ways) == 0 { // each way once before any comes again
				random.Shuffle(len(ways), func(i, j int) { ways[i], ways[j] = ways[j], ways[i] })
			}
			way := ways[done%len(ways)]
			f.harm(t, way, random)
			did[way]++
			done++
		}
		f.awaitAll(t, runs)
		lost += time.Since(began) - undisturbed
		for i, run := range runs {
			sameWork(t, whole.tracker.dir, f.tracker.dir, want[i], run)
			if got := f.points(t, run); !reflect.DeepEqual(got, wantPoints[i]) {
				t.Errorf("job %d: points recorded:\n%v\nof the run that was not disturbed:\n%v", i, got, wantPoints[i])
			}
			attempts += run.Job.Attempt
		}
	}
	all, err := f.client(t).Runs(context.Background(), nil, 1000)
	if err != nil || len(all) != rounds*jobs {
		t.Errorf("%d runs, want %d (%v)", len(all), rounds*jobs, err)
	}
	t.Logf("harmed %v; %d jobs ended once each, in %d attempts, with the bytes of the undisturbed ones; %v a round undisturbed, %v of wall time lost",
		did, rounds*jobs, attempts, undisturbed.Round(100*time.Millisecond), lost.Round(100*time.Millisecond))
}

// harm lets something fail, and come back.
func (f *fleetOf) harm(t *testing.T, way string, random *rand.Rand) {
	t.Helper()
	i := random.IntN(3)
	away := time.Duration(random.Int64N(int64(5 * time.Second))) // below and above the lease
	switch way {
	case "machine":
		f.machines.kill(i)
		f.machines.start(t, i)
	case "link":
		ip(t, "link", "set", link(i), "down")
		time.Sleep(away)
		ip(t, "link", "set", link(i), "up")
	case "job":
		for k := range 3 {
			if pid := jobOf(f.workers[(i+k)%3].Process.Pid); pid != 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
				return
			}
		}
	case "server":
		f.tracker.kill(t)
		f.tracker.start(t)
	case "NATS":
		if err := f.nats.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = f.nats.Wait()
		time.Sleep(away / 2)
		f.startNATS(t)
	}
}

// points asks the server for what a run has recorded, without times; timings have no values to compare.
func (f *fleetOf) points(t *testing.T, run experiments.Run) map[string][]string {
	t.Helper()
	get := func(path string, into any) {
		res, err := http.Get(f.client(t).URL() + "/api/v1/runs/" + run.ID + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	var list struct{ Items []struct{ Name string } }
	get("/metrics", &list)
	points := map[string][]string{}
	for _, s := range list.Items {
		var series struct{ Points [][]any } // step, Unix ms, value
		get("/metrics/series?max_points=100000&name="+url.QueryEscape(s.Name), &series)
		for _, p := range series.Points {
			text := fmt.Sprint(p[0])
			if !timingSeries(s.Name) {
				text += fmt.Sprint(" ", p[2])
			}
			points[s.Name] = append(points[s.Name], text)
		}
	}
	if len(points) == 0 {
		t.Errorf("run %s has recorded nothing", run.ID)
	}
	return points
}
