package metrictemplate_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/runtime/metricabi"
	"triality/runtime/metrictemplate"
	"triality/runtime/sandbox"
)

// sandboxed is the host of all tests: a Go module takes seconds to compile, and
// its warm worker and its cache spare the next test that.
var sandboxed *sandbox.Host

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	os.Exit(withHost(m.Run))
}

// withHost runs tests with a host, whose folder and workers are gone after.
func withHost(run func() int) int {
	dir, err := os.MkdirTemp("", "metrictemplate")
	if err != nil {
		log.Fatal(err)
	}
	// Under -race on a busy machine everything takes ten times as long.
	sandboxed, err = sandbox.NewHost(sandbox.Options{
		CacheDir: filepath.Join(dir, "cache"), Timeout: 5 * time.Minute, CompileTimeout: 5 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	status := run()
	if err := errors.Join(sandboxed.Close(), os.RemoveAll(dir)); err != nil {
		log.Fatal(err)
	}
	return status
}

// eachLanguage runs a test on every template that can be built here.
func eachLanguage(t *testing.T, test func(t *testing.T, lang string, wasm []byte)) {
	for _, lang := range metrictemplate.Languages() {
		t.Run(lang, func(t *testing.T) { test(t, lang, module(t, lang)) })
	}
}

func TestEachTemplateBuildsToAModuleThatUploadAccepts(t *testing.T) {
	eachLanguage(t, func(t *testing.T, lang string, wasm []byte) {
		rep, err := sandboxed.Validate(context.Background(), wasm)
		if err != nil {
			t.Fatal(err)
		}
		if !rep.OK {
			t.Fatalf("refused: %+v", rep.Checks)
		}
		if d := rep.Description; d.Name != "brier-"+lang || d.Formula == "" || d.Source == "" || len(d.Outputs) != 2 {
			t.Errorf("described as %+v", d)
		}
		t.Logf("%d bytes, imports %q", len(wasm), rep.Module.Imports)
	})
}

// vector is one metric vector of wasm-metrics/vectors.
type vector struct {
	name    string
	table   metricabi.Table
	missing float64
	want    []metricabi.Result
}

func vectors(t *testing.T, which string) []vector {
	t.Helper()
	root := filepath.Join("..", "..", "wasm-metrics", "vectors")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var index map[string]json.RawMessage
	if err := json.Unmarshal(read("index.json"), &index); err != nil {
		t.Fatal(err)
	}
	var list []struct{ Table, Results string }
	if err := json.Unmarshal(index[which], &list); err != nil || len(list) == 0 {
		t.Fatalf("the index names no vectors of %s: %v", which, err)
	}
	var out []vector
	for _, m := range list {
		v := vector{name: m.Table}
		var err error
		if v.table, err = metricabi.Decode(read(m.Table)); err != nil {
			t.Fatalf("%s: %v", m.Table, err)
		}
		// The sandbox adds the parameters itself.
		v.table.Columns = slices.DeleteFunc(v.table.Columns, func(c metricabi.Column) bool {
			if c.Role == metricabi.RoleParameter {
				v.missing = c.Float64[0]
			}
			return c.Role == metricabi.RoleParameter
		})
		if v.want, err = metricabi.DecodeResults(read(m.Results), metricabi.DefaultLimits(v.table.Rows)); err != nil {
			t.Fatalf("%s: %v", m.Results, err)
		}
		out = append(out, v)
	}
	return out
}

func TestEachTemplateGivesTheVectorsToTheBit(t *testing.T) {
	all := vectors(t, "metric")
	eachLanguage(t, func(t *testing.T, _ string, wasm []byte) {
		for _, v := range all {
			got, _, err := sandboxed.Evaluate(context.Background(), wasm, v.table, map[string]any{"missing": v.missing})
			if err != nil {
				t.Errorf("%s: %v", v.name, err)
			} else if err := identical(got, v.want); err != nil {
				t.Errorf("%s: %v", v.name, err)
			}
		}
	})
}

func TestEachTemplateGivesTheVectorsInNodeToo(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no node in PATH")
	}
	runner := filepath.Join("..", "..", "wasm-metrics", "vectors.mjs")
	eachLanguage(t, func(t *testing.T, lang string, wasm []byte) {
		file := filepath.Join(t.TempDir(), "metric.wasm")
		if err := os.WriteFile(file, wasm, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("node", runner, file).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		canonical := strings.Count(string(out), ": ok, in canonical form")
		if lang != "wat" && canonical != len(vectors(t, "metric")) { // WAT by hand pads and always has a bitmap
			t.Errorf("an SDK that does not write the canonical form:\n%s", out)
		}
	})
}

// identical compares results bit by bit.
func identical(got, want []metricabi.Result) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d results, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := &got[i], &want[i]
		if g.Name != w.Name || g.Kind != w.Kind || len(g.Values) != len(w.Values) {
			return fmt.Errorf("%s %q of %d values, want %s %q of %d", g.Kind, g.Name, len(g.Values), w.Kind, w.Name, len(w.Values))
		}
		if !slices.Equal(g.Groups, w.Groups) {
			return fmt.Errorf("%s: groups %q, want %q", g.Name, g.Groups, w.Groups)
		}
		for j := range g.Values {
			if g.Defined(j) != w.Defined(j) || math.Float64bits(g.Values[j]) != math.Float64bits(w.Values[j]) {
				return fmt.Errorf("%s, value %d: %x (defined: %v), want %x (%v)", g.Name, j, g.Values[j], g.Defined(j), w.Values[j], w.Defined(j))
			}
		}
	}
	return nil
}

func TestEveryLanguageAgreesToTheBitOnAMillionRows(t *testing.T) {
	if testing.Short() {
		t.Skip("a million rows in every language")
	}
	table, want := millionRows()
	eachLanguage(t, func(t *testing.T, _ string, wasm []byte) {
		got, usage, err := sandboxed.Evaluate(context.Background(), wasm, table, map[string]any{"missing": 0.1})
		if err != nil {
			t.Fatal(err)
		}
		if err := identical(got, want); err != nil {
			t.Error(err)
		}
		t.Logf("%.0f ms in the module, %.0f ms in all", 1e3*usage.EvalSeconds, 1e3*usage.WallSeconds)
	})
}

// millionRows is a random table of three classes, and what plain Go makes of it.
func millionRows() (metricabi.Table, []metricabi.Result) {
	const rows, classes = 1_000_000, 3
	rng := rand.New(rand.NewPCG(2026, 7))
	label := metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", make([]int32, rows))
	labelled, present := make([]bool, rows), make([]bool, rows)
	var p [classes][]float64
	for c := range p {
		p[c] = make([]float64, rows)
	}
	row := metricabi.Result{Name: "row.A", Kind: metricabi.PerSample, Values: make([]float64, rows), Undefined: make([]bool, rows)}
	var sum, n float64
	for i := range rows {
		bits := rng.Uint64()
		gold := int(bits % classes)
		label.Int32[i], labelled[i], present[i] = int32(gold), bits>>8&31 > 0, bits>>16&31 > 0
		score := 0.0
		for c := range p {
			p[c][i] = rng.Float64()
			d := p[c][i]
			if c == gold {
				d -= 1
			}
			score += float64(d * d) // rounded before it is added: no fused multiply
		}
		if !present[i] {
			score = 0.1
		}
		if row.Undefined[i] = !labelled[i]; labelled[i] {
			row.Values[i] = score
			sum += score
			n++
		}
	}
	label.SetValid(labelled)
	t := metricabi.Table{Rows: rows, Columns: append(metricabi.ClassColumns("a", "b", "c"), label)}
	for c := range p {
		col := metricabi.Float64Column(metricabi.RoleProbability, metricabi.ArmA, string(rune('a'+c)), p[c])
		if c == 1 {
			col.SetValid(present)
		}
		t.Columns = append(t.Columns, col)
	}
	return t, []metricabi.Result{{Name: "score.A", Kind: metricabi.Scalar, Values: []float64{sum / n}}, row}
}
