package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/experiments/pipeline/metrictest"
	"triality/runtime/device/cpu"
	"triality/runtime/disk"
	"triality/runtime/sandbox"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	// What a test writes need not outlive a real power cut.
	disk.Watch(os.TempDir(), func(op disk.Op, do func() error) error {
		if op.Kind == disk.OpSync || op.Kind == disk.OpSyncDir {
			return nil
		}
		return do()
	})
	os.Exit(m.Run())
}

// wire is the way between the two sides: it encodes as a real one does.
type wire struct {
	server  *Server
	run     string
	attempt int
	calls   atomic.Int64
	before  func(n int64, method string, args []byte) error         // may refuse or change a call
	mu      sync.Mutex                                              // one call of after at a time
	after   func(method string, args, reply []byte) ([]byte, error) // may change or lose an answer
}

func (w *wire) Call(ctx context.Context, method string, args, reply any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	body, err := Marshal(args)
	if err != nil {
		return err
	}
	if w.before != nil {
		if err := w.before(w.calls.Add(1), method, body); err != nil {
			return err
		}
	}
	answer, err := w.server.Serve(ctx, w.run, w.attempt, method, body)
	if err != nil {
		return experiments.Errorf(experiments.CodeOf(err), "%s", err.Error()) // the code and the text travel
	}
	if w.after != nil {
		w.mu.Lock()
		answer, err = w.after(method, body, answer)
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return Unmarshal(answer, reply)
}

var errBroken = errors.New("the link broke")

// newServer opens a server's side whose runs have their folder in dir.
func newServer(t testing.TB, dir string) *Server {
	t.Helper()
	s, err := NewServer(ServerOptions{Dir: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newWorker(t testing.TB) *Worker {
	t.Helper()
	w, err := OpenWorker(WorkerOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rows are n four-class rows, two a group.
func rows(n int) string {
	words := []string{"open the window please", "ask my manager first", "sell me the secret", "build a bad device"}
	var b strings.Builder
	for i := range n {
		k := i / 2 % len(experiments.Labels)
		fmt.Fprintf(&b, `{"instruction":"Classify.","input":"%s, %c%c%c number %d","output":%q,"four_class_label":%q,"source_sample":"s%d"}`+"\n",
			words[k], 'a'+i%26, 'a'+i*7%26, 'a'+i*11%26, i*i*31, experiments.Labels[k], experiments.Labels[k], i/2)
	}
	return b.String()
}

const smallYAML = `
name: small
output_dir: %s
seed: 7
device: cpu
data: {input_path: "%s", max_length: 96, val_ratio: 0.1, test_ratio: 0.2}
model:
  base_model: %s
  create: {shape: micro, vocab_size: 320, num_train_epochs: 1, per_device_train_batch_size: 16}
training:
  num_train_epochs: 1
  per_device_train_batch_size: 4
  gradient_accumulation_steps: 2
  learning_rate: 1.0e-2
  logging_steps: 1
  save_steps: 1
  lora_r: 2
  lora_alpha: 4
  lora_dropout: 0.1
so8t: {num_train_epochs: 0.5, per_device_train_batch_size: 8}
test: {warmup: 1, bootstrap_resamples: 100, metrics: [{module: "%s"}]}
`

// project fills a folder with the inputs of the small pipeline.
func project(t testing.TB, dir string) {
	t.Helper()
	write(t, filepath.Join(dir, "data set", "four_class_ä.jsonl"), rows(64))
	write(t, filepath.Join(dir, "m.wasm"), string(metrictest.Good("m", 1)))
}

func smallConfig() string {
	return fmt.Sprintf(smallYAML, "work", "data set/four_*.jsonl", "work/base", "m.wasm")
}

// runHere runs a configuration in the folder dir, as a worker's process does.
func runHere(t testing.TB, ctx context.Context, dir, text, run string, resume bool) (experiments.Run, error) {
	t.Helper()
	was, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir(dir); err != nil {
		t.Fatal(err)
	}
	defer os.Chdir(was)
	spec, err := pipeline.ParseSpec("config", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	dev := cpu.New(cpu.Options{})
	defer dev.Close()
	host, err := sandbox.NewHost(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	r := &pipeline.Runner{Engine: &pipeline.Engine{Device: dev, Sandbox: host}, Tracker: &tracker{}, Reporter: reporter{}, Version: "test"}
	out, _, err := r.RunSpec(ctx, spec, pipeline.RunOptions{RunID: run, Resume: resume})
	return out, err
}

type reporter struct{}

func (reporter) Render(_ context.Context, in experiments.ReportInput, w io.Writer) error {
	return json.NewEncoder(w).Encode(in.Data)
}

// tracker keeps nothing but the run.
type tracker struct {
	mu  sync.Mutex
	run experiments.Run
}

func (*tracker) EnsureExperiment(_ context.Context, name string) (experiments.Experiment, error) {
	return experiments.Experiment{ID: name, Name: name}, nil
}
func (k *tracker) Run(context.Context, string) (experiments.Run, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.run, nil
}
func (k *tracker) SaveRun(ctx context.Context, r experiments.Run) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.run = r
	return nil
}
func (*tracker) LogMetrics(ctx context.Context, _ string, _ experiments.MetricBatch) error {
	return ctx.Err()
}
func (*tracker) RestartMetrics(ctx context.Context, _ string, _ experiments.MetricBatch) error {
	return ctx.Err()
}
func (*tracker) Progress(string, string, experiments.Progress) {}
func (*tracker) SaveArtifact(_ context.Context, _, path, _ string, r io.Reader) (experiments.Artifact, error) {
	_, err := io.Copy(io.Discard, r)
	return experiments.Artifact{Path: path}, err
}
func (*tracker) Module(context.Context, string) (experiments.Module, []byte, error) {
	return experiments.Module{}, nil, experiments.Errorf(experiments.CodeNotFound, "none")
}
func (*tracker) UseModule(context.Context, string, experiments.Module, []byte) error { return nil }

// filesBelow are the regular files below a folder by their paths, with their content; names that begin with a dot and
// files of times are left out.
func filesBelow(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		switch d.Name() {
		case "dataset.looks": // the server counts the looks at a test split
		case "step.json", "metrics.json", "results.json", "replacement.json": // these hold times
			out[filepath.ToSlash(rel)] = ""
		case "metric.json":
			out[filepath.ToSlash(rel)] = wallTime.ReplaceAllString(read(t, p), "")
		default:
			out[filepath.ToSlash(rel)] = read(t, p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var wallTime = regexp.MustCompile(`"wall_ms": [0-9.e+-]+`)

// same holds two folders to each other.
func same(t testing.TB, want, got string) {
	t.Helper()
	a, b := filesBelow(t, want), filesBelow(t, got)
	for name, text := range a {
		if other, ok := b[name]; !ok {
			t.Errorf("%s is missing", name)
		} else if other != text {
			t.Errorf("%s has other bytes", name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			t.Errorf("%s is too much", name)
		}
	}
}
