//go:build linux

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"triality/experiments"
	"triality/experiments/config"
	"triality/frontend"
	"triality/runtime/holdup"
)

// absurd is one value of one key that no run can work with, or that costs it all there is.
type absurd struct {
	key   string // as errors name it
	yaml  string // where it lies, as a path of map keys
	value any
}

func (a absurd) String() string { return fmt.Sprintf("%s: %v", a.key, a.value) }

// config is a base configuration with that value.
func (a absurd) config(t *testing.T, base string) string {
	t.Helper()
	var doc map[string]any
	if err := yaml.Unmarshal([]byte(base), &doc); err != nil {
		t.Fatal(err)
	}
	at := doc
	parts := strings.Split(a.yaml, ".")
	for _, p := range parts[:len(parts)-1] {
		next, ok := at[p].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[p] = next
		}
		at = next
	}
	last := parts[len(parts)-1]
	switch at[last] = a.value; a.yaml {
	case "test.metrics":
	case "model.create.text":
		doc["model"].(map[string]any)["base_model"] = "new"
		at["shape"], at["num_train_epochs"] = "micro", 1
	case "model.create.vocab_size", "model.create.num_train_epochs", "model.create.learning_rate", "model.create.per_device_train_batch_size":
		doc["model"].(map[string]any)["base_model"] = "made"
		at["shape"] = "micro"
	}
	out, err := yaml.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// absurdNumbers are 10⁹ and −1 for every number of the configuration, found in its struct.
func absurdNumbers() []absurd {
	var out []absurd
	var visit func(t reflect.Type, key string)
	visit = func(t reflect.Type, key string) {
		for i := range t.NumField() {
			f := t.Field(i)
			full := strings.TrimPrefix(key+"."+f.Tag.Get("yaml"), ".")
			for _, v := range []any{1_000_000_000, -1} {
				add := func(value any) { out = append(out, absurd{full, full, value}) }
				switch kind := f.Type.Kind(); {
				case f.Type == reflect.TypeFor[config.Duration]():
					add(fmt.Sprintf("%vs", v))
				case f.Type.Kind() == reflect.Int || kind == reflect.Int64 || kind == reflect.Uint64 || kind == reflect.Float64:
					add(v)
				case kind == reflect.Map && (f.Type.Elem().Kind() == reflect.Int || f.Type.Elem().Kind() == reflect.Float64):
					add(map[string]any{"q_proj": v})
				case kind == reflect.Slice && f.Type.Elem().Kind() == reflect.Int:
					add([]any{v})
				}
			}
			if f.Type.Kind() == reflect.Struct {
				visit(f.Type, full)
			}
		}
	}
	visit(reflect.TypeFor[config.Pipeline](), "")
	for _, v := range []string{"1000000000s", "-1s"} {
		out = append(out, absurd{"test.metrics[0].timeout", "test.metrics", []any{map[string]any{"module": "no.wasm", "timeout": v}}})
	}
	return out
}

// absurdPaths are files that are none, or have no end, for every path of the configuration.
func absurdPaths(t *testing.T, files map[string]string) []absurd {
	p := config.Default()
	p.Test.Metrics = []config.Metric{{}}
	var out []absurd
	for _, path := range config.Paths(&p) {
		for kind, file := range files {
			if path.Key == "output_dir" && kind == "folder" {
				continue // it is what it wants
			}
			a := absurd{path.Key, path.Key, file}
			if strings.HasPrefix(path.Key, "test.metrics") {
				a.yaml, a.value = "test.metrics", []any{map[string]any{"module": file}}
			}
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b absurd) int { return strings.Compare(a.String(), b.String()) })
	return out
}

// Every number at 10⁹ and −1, every path at what never ends or is no file: a configuration is refused by name, or its run
// fails by itself or can be cancelled; the server answers others throughout and ends when told to.
func TestAServerOutlivesEveryConfiguration(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	dir := killFolder(t, 1)
	files := map[string]string{"pipe": filepath.Join(dir, "pipe"), "device": "/dev/zero", "socket": filepath.Join(dir, "s"), "folder": dir, "growing": filepath.Join(dir, "growing.jsonl")}
	if err := syscall.Mkfifo(files["pipe"], 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", files["socket"])
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	defer grow(t, files["growing"])()
	s := &tracker{dir: dir}
	s.start(t)
	defer s.cmd.Process.Kill() // where the test fails
	c := s.client(t)
	base := fmt.Sprintf(pipelineYAML, 1)
	work := func() {
		for _, a := range append(absurdNumbers(), absurdPaths(t, files)...) {
			s.try(t, a, base)
		}
	}
	// What else the machine does holds answers up too: it is allowed for, and tried again. What a configuration holds
	// up, it holds up every time.
	var machine time.Duration
	for round := 1; ; round++ {
		var slowest time.Duration
		machine = holdup.During(t, func() { slowest = polled(t, c.URL(), work) })
		t.Logf("the slowest other answer took %v, an idle program's %v", slowest, machine)
		most := 50*time.Millisecond + 2*machine
		if os.Getenv("TRIALITY_STRICT") != "" {
			most = 50 * time.Millisecond
		}
		if slowest <= most || raceDetector || t.Failed() { // the race detector makes everything many times as slow
			break
		}
		if round == 3 {
			t.Errorf("an answer took %v, at most %v", slowest, most)
			break
		}
	}
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.cmd.Wait() }()
	select {
	case err := <-ended:
		if took := time.Since(began); err != nil || took > 10*time.Second+2*machine {
			t.Errorf("the server ended after %v with %v", took, err)
		}
	case <-time.After(time.Minute):
		t.Error("the server does not end")
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "server.json")); err == nil {
		t.Error("a server that ended left its door open")
	}
}

// try submits a configuration: it is refused, or its run comes to an end, by itself or cancelled.
func (s *tracker) try(t *testing.T, a absurd, base string) {
	t.Helper()
	ctx := context.Background()
	c := s.client(t)
	run, err := c.Submit(ctx, a.config(t, base), "", s.dir)
	if err != nil {
		last := a.key[strings.LastIndex(a.key, ".")+1:]
		if !strings.Contains(err.Error(), last) || experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%v: refused with %v", a, err)
		}
		return
	}
	cancelled := false
	patience := 3 * time.Second
	if os.Getenv("TRIALITY_LONG") != "" {
		patience = time.Minute
	}
	began := time.Now()
	for ; !run.Status.Done(); time.Sleep(5 * time.Millisecond) {
		if run, err = c.Run(ctx, run.ID); err != nil {
			t.Fatalf("%v: the server does not answer: %v", a, err)
		}
		switch took := time.Since(began); {
		case !cancelled && took > patience:
			cancelled = true
			if _, err := c.Cancel(ctx, run.ID); err != nil && experiments.CodeOf(err) != experiments.CodeConflict {
				t.Fatalf("%v: %v", a, err)
			}
		case took > patience+time.Minute:
			t.Fatalf("%v: the run is %s a minute after it was cancelled", a, run.Status)
		}
	}
	if run.Job.Attempt > 1 {
		t.Errorf("%v: %d attempts: %s", a, run.Job.Attempt, run.Error)
	}
	if value, isPath := a.value.(string); isPath && !strings.HasSuffix(value, ".jsonl") && run.Status == experiments.Failed && !strings.Contains(run.Error, a.key[strings.LastIndex(a.key, ".")+1:]) {
		t.Errorf("%v: the error does not name the key: %s", a, run.Error)
	}
}

// grow writes rows to a file until the end is called.
func grow(t *testing.T, path string) (end func()) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		line := bytes.Repeat([]byte("{\"instruction\": \"more\", \"output\": \"ALLOW\", \"four_class_label\": \"ALLOW\"}\n"), 8)
		for written := 0; ; written += len(line) {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			if written < 64<<20 { // and yet no reader may come to its end
				_, _ = f.Write(line)
			}
		}
	})
	return func() { close(stop); done.Wait(); f.Close() }
}

// polled does work and gives the slowest of the answers to others' requests meanwhile.
func polled(t *testing.T, url string, work func()) (slowest time.Duration) {
	t.Helper()
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		client := &http.Client{Timeout: time.Minute}
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			began := time.Now()
			res, err := client.Get(url + []string{"/healthz", "/api/v1/runs?limit=20"}[i%2])
			if err != nil {
				t.Errorf("another's request: %v", err)
				return
			}
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if took := time.Since(began); i > 4 { // connections are there
				if took > 50*time.Millisecond {
					t.Logf("%s took %v", res.Request.URL.Path, took)
				}
				slowest = max(slowest, took)
			}
			if err != nil || res.StatusCode != http.StatusOK {
				t.Errorf("another's request: %s, %v", res.Status, err)
			}
		}
	})
	work()
	close(stop)
	done.Wait()
	return slowest
}
