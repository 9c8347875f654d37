package metrictemplate_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/runtime/metricabi"
	"triality/runtime/metrictemplate"
	"triality/runtime/sandbox"
)

// goMetric builds the Go template with another main.go.
func goMetric(t *testing.T, source string) []byte {
	t.Helper()
	if reason := toolchain(t, "go", ""); reason != "" {
		t.Skip(reason)
	}
	dir := t.TempDir()
	if err := metrictemplate.Write(dir, "go", "everyday"); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "everyday")
	if err := os.WriteFile(filepath.Join(folder, "main.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range commands(t, filepath.Join(folder, "README.md")) {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
	}
	wasm, err := os.ReadFile(filepath.Join(folder, "everyday.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// everyday uses what a Go programmer reaches for without thinking, files and
// the clock included, and says what came of it.
const everyday = `package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"triality.example/everyday/metric"
)

const description = ` + "`" + `{"name":"everyday","version":"1","description":"uses the standard library","columns":[{"role":"label"}],
"outputs":[{"name":"x","kind":"scalar","direction":"none"}]}` + "`" + `

func init() { metric.Register(description, eval) }

func main() {}

var used = []any{bufio.NewReader, bytes.NewReader, gzip.NewWriter, csv.NewReader, flag.Parse,
	big.NewInt, exec.Command, signal.Notify, regexp.MustCompile, sort.Ints, testing.Short, tabwriter.NewWriter, io.EOF}

func eval(t *metric.Table, r *metric.Results) error {
	if t.Rows == 7 {
		var none []int
		_ = none[t.Rows]
	}
	if t.Rows == 8 {
		log.Fatalf("cannot go on with %d rows", t.Rows)
	}
	if t.Rows == 9 {
		fmt.Println("about to hang")
		for i := 0; ; i++ {
			if len(used) == 0 {
				return nil
			}
		}
	}
	log.SetFlags(log.LstdFlags | log.LUTC)
	log.Printf("%d rows", t.Rows)
	slog.Info("rows", "n", t.Rows)
	start := time.Now()
	time.Sleep(20 * time.Millisecond)
	_, noFile := os.ReadFile("/etc/passwd")
	_, noDir := os.ReadDir(".")
	noWrite := os.WriteFile("out.txt", []byte("x"), 0o600)
	_, noNet := net.Dial("tcp", "127.0.0.1:80")
	_, noHost := os.Hostname()
	_, noMatch := filepath.Glob("/*")
	input, noInput := io.ReadAll(os.Stdin)
	text, err := json.Marshal(map[string]any{"args": os.Args, "env": len(os.Environ()), "input": len(input),
		"file": noFile != nil, "dir": noDir != nil, "write": noWrite != nil, "net": noNet != nil})
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, string(text), noHost, noMatch, noInput)
	random := make([]byte, 8)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	var all sync.WaitGroup
	sums := make([]int, 4)
	for i := range sums {
		all.Go(func() { sums[i] = i * t.Rows })
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	fmt.Println(time.Since(start) > 0, time.Now().UTC().Format("2006-01-02"), random, strings.Repeat("=", 4))
	os.Stdout.Sync()
	r.Scalar("x", float64(sums[1]+sums[3]+len(used)))
	return nil
}
`

func TestAGoMetricMayUseTheStandardLibrary(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a large Go module")
	}
	wasm := goMetric(t, everyday)
	rep, err := sandboxed.Validate(context.Background(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	if !rep.OK {
		t.Fatalf("refused: %+v", rep.Checks)
	}
	t.Logf("%d bytes, imports %q", len(wasm), rep.Module.Imports)
	rows := func(n int) metricabi.Table {
		return metricabi.Table{Rows: n, Columns: []metricabi.Column{
			metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", make([]int32, n))}}
	}
	results, usage, err := sandboxed.Evaluate(context.Background(), wasm, rows(5), nil)
	if err != nil || results[0].Values[0] != 4*5+13 {
		t.Fatalf("%+v %v", results, err)
	}
	for _, want := range []string{"5 rows", "INFO rows n=5", `{"args":[],"dir":true,"env":0,"file":true,"input":0,"net":true,"write":true}`, "true 2022-01-01 ["} {
		if !strings.Contains(usage.Log, want) && !strings.Contains(usage.Log, strings.Replace(want, "[]", "null", 1)) {
			t.Errorf("the log lacks %q:\n%s", want, usage.Log)
		}
	}
	again, reused, err := sandboxed.Evaluate(context.Background(), wasm, rows(5), nil)
	if err != nil || again[0].Values[0] != results[0].Values[0] || reused.Log != usage.Log || reused.Fuel != usage.Fuel {
		t.Errorf("%+v %v; fuel %d and %d; log\n%s", again, err, usage.Fuel, reused.Fuel, reused.Log)
	}

	// How it ended reaches the person.
	for n, want := range map[int][2]string{
		7: {`it wrote "panic: runtime error: index out of range [7] with length 0", then ended: `, "goroutine "},
		8: {`cannot go on with 8 rows", then ended: it called proc_exit(1)`, "8 rows"},
	} {
		_, usage, err := sandboxed.Evaluate(context.Background(), wasm, rows(n), nil)
		if !errors.Is(err, sandbox.ErrTrap) || !strings.Contains(err.Error(), want[0]) || !strings.Contains(usage.Log, want[1]) {
			t.Errorf("%d rows: %v\n%s", n, err, usage.Log)
		}
	}
	h, err := sandbox.NewHost(sandbox.Options{Fuel: 500_000_000, TrialFuel: 500_000_000, Timeout: time.Hour, CompileTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, usage, err := h.Evaluate(context.Background(), wasm, rows(9), nil); !errors.Is(err, sandbox.ErrFuel) || usage.Log != "about to hang\n" {
		t.Errorf("an endless loop: %v\n%s", err, usage.Log)
	}
}
