package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"triality/experiments"
	"triality/runtime/device"
	"triality/runtime/device/cpu"
	"triality/runtime/model"
	"triality/runtime/sandbox"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	if dir := os.Getenv("TRIALITY_MEASURE_ABTEST"); dir != "" {
		if err := measureABTest(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	status := m.Run()
	for _, f := range cleanups {
		if err := f(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	os.Exit(status)
}

// kept is a tracker for tests.
type kept struct {
	mu        sync.Mutex
	runs      map[string]experiments.Run
	points    map[string]experiments.MetricBatch
	artifacts map[string][]byte
	modules   map[string][]byte
	records   map[string]experiments.Module
}

func newMemory() *kept {
	return &kept{runs: map[string]experiments.Run{}, points: map[string]experiments.MetricBatch{}, artifacts: map[string][]byte{}, modules: map[string][]byte{}, records: map[string]experiments.Module{}}
}

func (m *kept) EnsureExperiment(ctx context.Context, name string) (experiments.Experiment, error) {
	if err := ctx.Err(); err != nil {
		return experiments.Experiment{}, err // as the store does
	}
	return experiments.Experiment{ID: "e-" + name, Name: name}, nil
}

func (m *kept) Run(_ context.Context, id string) (experiments.Run, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.runs[id]
	if !ok {
		return r, experiments.Errorf(experiments.CodeNotFound, "no run %s", id)
	}
	return r, nil
}

func (m *kept) SaveRun(ctx context.Context, r experiments.Run) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r.Steps = append([]experiments.Step(nil), r.Steps...)
	m.runs[r.ID] = r
	return nil
}

func (m *kept) LogMetrics(ctx context.Context, id string, batch experiments.MetricBatch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.points[id] == nil {
		m.points[id] = experiments.MetricBatch{}
	}
	for name, points := range batch {
		m.points[id][name] = append(m.points[id][name], points...)
	}
	return nil
}

func (m *kept) RestartMetrics(ctx context.Context, id string, batch experiments.MetricBatch) error {
	m.mu.Lock()
	for name := range batch {
		delete(m.points[id], name)
	}
	m.mu.Unlock()
	return m.LogMetrics(ctx, id, batch)
}

func (m *kept) Progress(string, string, experiments.Progress) {}

func (m *kept) SaveArtifact(ctx context.Context, id, path, mediaType string, r io.Reader) (experiments.Artifact, error) {
	if err := ctx.Err(); err != nil {
		return experiments.Artifact{}, err
	}
	b, err := io.ReadAll(r)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.artifacts[id+"/"+path] = b
	return experiments.Artifact{Path: path, Size: int64(len(b)), MediaType: mediaType}, err
}

func (m *kept) Module(_ context.Context, sum string) (experiments.Module, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.modules[sum]
	if !ok {
		return experiments.Module{}, nil, experiments.Errorf(experiments.CodeNotFound, "no module %s", sum)
	}
	return m.records[sum], b, nil
}

func (m *kept) UseModule(_ context.Context, _ string, r experiments.Module, wasm []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records[r.SHA256], m.modules[r.SHA256] = r, wasm
	return nil
}

// jsonReporter writes the report's input as JSON: what a page is made of, without the page.
type jsonReporter struct{}

func (jsonReporter) Render(_ context.Context, in experiments.ReportInput, w io.Writer) error {
	return json.NewEncoder(w).Encode(in)
}

// newRunner opens a runner on the cpu with a tracker in memory.
func newRunner(t *testing.T) (*Runner, *kept) {
	t.Helper()
	dev := cpu.New(cpu.Options{})
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	host, err := sandbox.NewHost(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tracker := newMemory()
	return &Runner{Engine: &Engine{Device: dev, Sandbox: host}, Tracker: tracker, Reporter: jsonReporter{}, Version: "test"}, tracker
}

// openArm is an arm with its weights on a device.
func openArm(dev device.Device, st model.Storage, s Source, format string, maxLength int) (*arm, error) {
	a, err := newArm(s, format, maxLength)
	if err == nil {
		err = a.load(dev, st)
	}
	return a, err
}
