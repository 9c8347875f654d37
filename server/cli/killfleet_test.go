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
// run an hour or two ahead of the others', and wall clocks of which one is an hour behind, one an hour and one ten
// years ahead where exe is a program of buildWithWall.
type machines struct {
	dir, join, exe string
	workers        [3]*exec.Cmd
}

var wallsOff = [3]int{-3600, 3600, 10 * 365 * 24 * 3600} // seconds

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
	out, err := os.OpenFile(filepath.Join(m.dir, fmt.Sprintf("worker%d.out", i)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	hours := strconv.Itoa(3600 * i)
	m.workers[i] = exec.Command("ip", "netns", "exec", namespace(i), "unshare", "--time", "--monotonic", hours, "--boottime", hours, "--fork", "--kill-child",
		m.exe, "worker", "--join", m.join, "--token-file", filepath.Join(m.dir, "token"), "--dir", filepath.Join(m.dir, fmt.Sprintf("worker%d", i)), "--name", fmt.Sprintf("w%d", i))
	m.workers[i].Stdout, m.workers[i].Stderr = out, out
	m.workers[i].Env = append(os.Environ(), fmt.Sprintf("%s=%d", wallVariable, wallsOff[i]))
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
	for _, word := range childrenOf(pid) {
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
	exe, err := exec.LookPath("triality") // of testscript.Main
	if err != nil {
		t.Fatal(err)
	}
	if kills > 3 {
		jobs, exe = 8, buildWithWall(t)
	}
	t.Run("NATS inside the server", func(t *testing.T) { disturb(t, exe, kills, jobs, false) })
	if kills > 3 {
		t.Run("NATS of its own", func(t *testing.T) { disturb(t, exe, kills, jobs, true) })
	}
}

// fleetOf is a server with three workers; NATS is a process of its own where outside holds.
type fleetOf struct {
	*tracker
	machines
	nats *exec.Cmd
}

const natsPort, natsToken = "14222", "a-token-of-the-tests"

func newFleet(t *testing.T, exe, dir, name string, outside bool) *fleetOf {
	t.Helper()
	f := &fleetOf{tracker: &tracker{dir: filepath.Join(dir, name, "server")}, machines: machines{dir: filepath.Join(dir, name), exe: exe}}
	f.tracker.furnish(t, dir)
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

// furnish gives a server's folder what jobs read.
func (s *tracker) furnish(t *testing.T, from string) {
	t.Helper()
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(s.dir, "model"), os.DirFS(filepath.Join(from, "model"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "rows.jsonl"), []byte(rows(64)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// submit queues the jobs.
func (s *tracker) submit(t *testing.T, jobs int) []experiments.Run {
	t.Helper()
	var runs []experiments.Run
	for i := range jobs {
		run, err := s.client(t).Submit(context.Background(), seededYAML(i), fmt.Sprintf("job %d", i), s.dir)
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
	for i := range 3 { // a worker that gave up would be missed by none of these jobs, and by the next
		if text, err := os.ReadFile(filepath.Join(f.machines.dir, fmt.Sprintf("worker%d.out", i))); err != nil || strings.Contains(string(text), "\ntriality: ") {
			t.Errorf("worker %d ended by itself (%v)", i, err)
		}
	}
}

func disturb(t *testing.T, exe string, kills, jobs int, outside bool) {
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

	alone := &tracker{dir: filepath.Join(dir, "alone")} // one machine, without workers elsewhere
	alone.furnish(t, dir)
	alone.start(t)
	t.Cleanup(func() { alone.cmd.Process.Kill() }) // it may have ended
	want := alone.submit(t, jobs)
	for i := range want {
		want[i] = alone.await(t, want[i].ID)
	}
	wantPoints := []map[string][]string{}
	for _, run := range want {
		wantPoints = append(wantPoints, alone.recorded(t, run))
	}
	alone.kill(t)

	whole := newFleet(t, exe, dir, "whole", outside)
	began := time.Now()
	calm := whole.submit(t, jobs)
	whole.awaitAll(t, calm)
	undisturbed := time.Since(began)
	whole.same(t, alone, want, wantPoints, calm, began)
	whole.stopAll()

	f := newFleet(t, exe, dir, "disturbed", outside)
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
			if way := ways[done%len(ways)]; f.harm(t, way, random) {
				did[way]++
				done++
			}
		}
		f.awaitAll(t, runs)
		lost += time.Since(began) - undisturbed
		f.same(t, alone, want, wantPoints, runs, began)
		for _, run := range runs {
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

// same holds runs to those of one machine, and their times to this machine's clock.
func (f *fleetOf) same(t *testing.T, alone *tracker, want []experiments.Run, wantPoints []map[string][]string, got []experiments.Run, began time.Time) {
	t.Helper()
	ended := time.Now().Add(5 * time.Second)
	began = began.Add(-5 * time.Second)
	within := func(i int, what string, at time.Time) {
		if !at.IsZero() && (at.Before(began) || at.After(ended)) {
			t.Errorf("job %d: %s at %v, of a round from %v to %v", i, what, at, began, ended)
		}
	}
	for i, run := range got {
		sameWork(t, alone.dir, f.tracker.dir, want[i], run)
		if points := f.recorded(t, run); !reflect.DeepEqual(points, wantPoints[i]) {
			t.Errorf("job %d: points recorded:\n%v\nof the run on one machine:\n%v", i, points, wantPoints[i])
		}
		within(i, "started", run.StartedAt)
		within(i, "ended", run.EndedAt)
		for _, step := range run.Steps {
			within(i, step.Kind+" started", step.StartedAt)
			within(i, step.Kind+" ended", step.EndedAt)
		}
		if f.tracker.times(t, run, within, i); run.EndedAt.Before(run.StartedAt) {
			t.Errorf("job %d ended %v before it started", i, run.StartedAt.Sub(run.EndedAt))
		}
	}
}

// harm lets something fail, and come back; false where there was nothing to harm.
func (f *fleetOf) harm(t *testing.T, way string, random *rand.Rand) bool {
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
				return syscall.Kill(pid, syscall.SIGKILL) == nil // it may have ended
			}
		}
		return false
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
	return true
}

// get asks the server about a run.
func (s *tracker) get(t *testing.T, run experiments.Run, path string, into any) {
	t.Helper()
	res, err := http.Get(s.client(t).URL() + "/api/v1/runs/" + run.ID + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// series calls a function with the points of each series: step, Unix ms, value.
func (s *tracker) series(t *testing.T, run experiments.Run, each func(name string, points [][]any)) {
	t.Helper()
	var list struct{ Items []struct{ Name string } }
	s.get(t, run, "/metrics", &list)
	for _, item := range list.Items {
		var series struct{ Points [][]any }
		s.get(t, run, "/metrics/series?max_points=100000&name="+url.QueryEscape(item.Name), &series)
		each(item.Name, series.Points)
	}
	if len(list.Items) == 0 {
		t.Errorf("run %s has recorded nothing", run.ID)
	}
}

// recorded are a run's points without times; timings have no values to compare.
func (s *tracker) recorded(t *testing.T, run experiments.Run) map[string][]string {
	t.Helper()
	points := map[string][]string{}
	s.series(t, run, func(name string, list [][]any) {
		for _, p := range list {
			text := fmt.Sprint(p[0])
			if !timingSeries(name) {
				text += fmt.Sprint(" ", p[2])
			}
			points[name] = append(points[name], text)
		}
	})
	return points
}

// times looks at the times of a run's points.
func (s *tracker) times(t *testing.T, run experiments.Run, within func(i int, what string, at time.Time), i int) {
	t.Helper()
	s.series(t, run, func(name string, list [][]any) {
		for _, p := range list {
			if ms, ok := p[1].(float64); ok {
				within(i, "a point of "+name, time.UnixMilli(int64(ms)))
			}
		}
	})
}
