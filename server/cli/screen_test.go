package cli

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/runtime/sandbox/wasmtest"
)

// hostile acts on a terminal, reorders and hides.
const hostile = "a\x1b[31m\u202eb\u200b\u0085\x9bc"

const harmless = `a\u001b[31m\u202eb\u200b\u0085\x9bc`

func TestWhatFilesAndModulesSayDoesNotActOnTheScreen(t *testing.T) {
	var out, messages bytes.Buffer
	missing := filepath.Join(t.TempDir(), hostile)
	if status := Main(context.Background(), []string{"model", "verify", missing}, nil, &out, &messages); status != ExitInvalid {
		t.Errorf("status %d", status)
	}
	if got := messages.String(); !strings.Contains(got, harmless+": there is no such") {
		t.Errorf("it said %q", got)
	}

	out.Reset()
	w := screened(&out)
	printModuleResult(w, hostile, experiments.ModuleResult{Name: hostile, Version: hostile + "\nmetric forged 1.0",
		Outputs: []experiments.MetricOutput{{Name: hostile, Values: []float64{1}}}, Log: hostile + "\nline\r\n", Notes: []string{hostile}})
	printModuleResult(w, "m", experiments.ModuleResult{Name: "m", Error: hostile + "\nforged"})
	screen := newTerminal(w)
	screen.Note("run", hostile)
	screen.Step(experiments.Step{Kind: "run", Status: experiments.Finished, Output: hostile + "\nforged"})
	screen.last = time.Time{}
	screen.Progress("run", experiments.Progress{Unit: hostile, Note: hostile + "\nforged"})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	got := out.String()
	if n := strings.Count(got, harmless); n != 10 {
		t.Errorf("%d of 10 are shown escaped in\n%q", n, got)
	}
	for line := range strings.Lines(got) {
		if strings.HasPrefix(line, "forged") || strings.HasPrefix(line, "metric forged") {
			t.Errorf("a line was forged: %q", line)
		}
	}
}

func TestOutputThatIsNoTerminalGetsGeneratedTextToTheByte(t *testing.T) {
	var out bytes.Buffer
	e := &env{stdout: screened(&out)}
	fmt.Fprint(e.asIs(), hostile)
	if out.String() != hostile {
		t.Errorf("%q", out.String())
	}
}

func TestMetricCheckShowsWhatTheModuleWrote(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	m := wasmtest.Good()
	write := wasmtest.WasiLog(m)
	m.Eval.Body = wasmtest.Cat(write, wasmtest.Unreachable)
	file := filepath.Join(dir, "m.wasm")
	if err := os.WriteFile(file, m.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, messages bytes.Buffer
	if status := Main(context.Background(), []string{"metric", "check", file}, nil, &out, &messages); status != ExitInvalid {
		t.Errorf("status %d: %s", status, messages.String())
	}
	if got := out.String(); !strings.Contains(got, "dry_run      FAILED") || !strings.Contains(got, "  it wrote:\n    | "+wasmtest.Description[:64]+"\n") {
		t.Errorf("it printed\n%s", got)
	}
}
