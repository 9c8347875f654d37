package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/experiments/pipeline/metrictest"
	"triality/frontend"
	"triality/runtime/sandbox"
	"triality/runtime/tablefile"
	"triality/server/store"
	"triality/server/think"
	"triality/server/worker"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == tablefile.Arg {
		os.Exit(tablefile.Main(os.Stdin, os.Stdout, os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == worker.Arg {
		os.Exit(WorkerMain(os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) > 1 && os.Args[1] == think.Arg {
		os.Exit(ThinkMain(os.Stdin, os.Stdout))
	}
	testscript.Main(m, map[string]func(){"triality": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := armToDie(); err != nil {
			panic(err)
		}
		os.Exit(Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}, "natsserver": natsCommand})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, Setup: furnish,
		Condition: func(cond string) (bool, error) {
			if cond == "pages" { // reports and pages need the frontend's build
				return len(frontend.ReportECharts()) > 0, nil
			}
			return false, fmt.Errorf("no condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "lock": lock, "cut": cut, "serves": serves, "background": background, "killed": killed, "runid": runID, "same": same, "json": jsonKeys, "recorded": recorded, "audited": audited, "undoes": undoes, "thinker": writesThinker, "asks": asks, "hub": hubServer,
		},
	})
}

// furnish gives a script rows, a small configuration, a small model and metric modules.
func furnish(e *testscript.Env) error {
	at := func(name string) string { return filepath.Join(e.WorkDir, name) }
	if err := os.WriteFile(at("rows.jsonl"), []byte(rows(64)), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(at("small.yaml"), []byte(smallYAML), 0o644); err != nil {
		return err
	}
	if err := pipeline.InitModel(at("model"), "llama", "micro", 320, []string{rows(64)}, 1); err != nil {
		return err
	}
	for name, wasm := range map[string][]byte{
		"good": metrictest.Good("good", 0.25), "loops": metrictest.Loops("loops"), "eats": metrictest.ExhaustsMemory("eats"),
		"lies": metrictest.LiesAboutOutput("lies"), "outside": metrictest.PointsOutsideMemory("outside"),
		"texts": metrictest.NeedsTexts("texts", 0.5),
	} {
		if err := os.WriteFile(at(name+".wasm"), wasm, 0o644); err != nil {
			return err
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	e.Defer(func() { taken.Close() })
	e.Setenv("TAKEN", taken.Addr().String())
	return nil
}

// rows makes n four-class rows, two a group.
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

const smallYAML = `# A small pipeline
name: small
output_dir: work
device: cpu
data: {input_path: rows.jsonl, max_length: 96, val_ratio: 0.1, test_ratio: 0.2}
model: {base_model: model}
training:
  num_train_epochs: 1
  per_device_train_batch_size: 4
  gradient_accumulation_steps: 2
  learning_rate: 1.0e-2
  logging_steps: 1
  lora_r: 2
  lora_alpha: 4
  lora_dropout: 0.1
so8t: {num_train_epochs: 0.5, per_device_train_batch_size: 8}
test: {warmup: 1, bootstrap_resamples: 100}
`

// exits runs a program that must end with the exit status: exits 2 triality …
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits STATUS PROGRAM ARGS")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// lock holds a data folder's database open until the script's end, as another process does: the
// program that the script starts is another process than this one.
func lock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lock DATA")
	}
	st, err := store.Open(ts.MkAbs(args[0]), store.Options{})
	ts.Check(err)
	ts.Defer(func() { ts.Check(st.Close()) })
}

// cut shortens a file to half.
func cut(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: cut FILE")
	}
	path := ts.MkAbs(args[0])
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Truncate(path, info.Size()/2))
}

// runID puts the id of a data folder's newest run into $RUN.
func runID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: runid DATA")
	}
	e := &env{stderr: io.Discard}
	o, err := e.open(context.Background(), ts.MkAbs(args[0]))
	ts.Check(err)
	runs, err := o.runs(context.Background(), "", "", 1)
	ts.Check(errors.Join(err, o.Close()))
	if len(runs) == 0 {
		ts.Fatalf("%s holds no run", args[0])
	}
	ts.Setenv("RUN", runs[0].ID)
}

// same compares two files byte by byte.
func same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: same FILE FILE")
	}
	a, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	b, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	if slices.Equal(a, b) == neg {
		ts.Fatalf("%s and %s: the same is %v", args[0], args[1], !neg)
	}
}

// jsonKeys checks that the last command's output is one JSON value that has these keys at its top.
func jsonKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: json KEY...")
	}
	out := ts.ReadFile("stdout")
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		ts.Fatalf("not a JSON object: %v\n%s", err, out)
	}
	for _, k := range args {
		if _, ok := v[k]; !ok {
			ts.Fatalf("no %q in %s", k, out)
		}
	}
}
