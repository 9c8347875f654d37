// Package wasmmetrics_test holds each built metric against a plain Go
// computation of the same formula.
package wasmmetrics_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

var classes = []string{"ALLOW", "ESCALATION", "DENY", "REFUSE"}

// module reads a built metric; where it was not built the test skips.
func module(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("dist", name+".wasm"))
	if os.IsNotExist(err) {
		t.Skipf("dist/%s.wasm is not built; run `npm ci && node build.mjs` in wasm-metrics", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func host(t testing.TB) *sandbox.Host {
	t.Helper()
	h, err := sandbox.NewHost(sandbox.Options{CacheDir: filepath.Join("dist", ".cache")})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// sample is a random table in plain Go.
type sample struct {
	label         []int
	labelled      []bool
	prediction    [2][]int
	predicted     [2][]bool
	probabilities [2][][]float64 // [arm][row][class]
}

func draw(seed uint64, rows int) sample {
	rng := rand.New(rand.NewPCG(seed, 7))
	var s sample
	for range rows {
		label := rng.IntN(len(classes))
		s.label = append(s.label, label)
		s.labelled = append(s.labelled, rng.IntN(20) > 0)
		for arm := range 2 {
			p := make([]float64, len(classes))
			sum := 0.0
			for c := range p {
				p[c] = rng.Float64()
				if c == label {
					p[c] += rng.Float64() * float64(1+arm)
				}
				sum += p[c]
			}
			best := 0
			for c := range p {
				p[c] /= sum
				if p[c] > p[best] {
					best = c
				}
			}
			s.prediction[arm] = append(s.prediction[arm], best)
			s.predicted[arm] = append(s.predicted[arm], rng.IntN(15) > 0)
			s.probabilities[arm] = append(s.probabilities[arm], p)
		}
	}
	return s
}

// ids is a class column in which rows without a class are not 0, so that a
// metric that reads them anyway is found out.
func ids(role metricabi.Role, arm metricabi.Arm, v []int, valid []bool) metricabi.Column {
	c := metricabi.Int32Column(role, arm, "", make([]int32, len(v)))
	for i := range v {
		c.Int32[i] = int32(v[i])
		if !valid[i] {
			c.Int32[i] = -1
		}
	}
	c.SetValid(valid)
	return c
}

func (s sample) table() metricabi.Table {
	t := metricabi.Table{Rows: len(s.label), Columns: metricabi.ClassColumns(classes...)}
	t.Columns = append(t.Columns, ids(metricabi.RoleLabel, metricabi.ArmShared, s.label, s.labelled))
	for arm := range 2 {
		a := metricabi.Arm(arm + 1)
		t.Columns = append(t.Columns, ids(metricabi.RolePrediction, a, s.prediction[arm], s.predicted[arm]))
		for c, name := range classes {
			p := make([]float64, len(s.label))
			for i := range p {
				p[i] = s.probabilities[arm][i][c]
			}
			t.Columns = append(t.Columns, metricabi.Float64Column(metricabi.RoleProbability, a, name, p))
		}
	}
	return t
}

// check evaluates a module on random tables and compares every value; NaN in
// want stands for undefined.
func check(t *testing.T, name string, params map[string]any, want func(sample) map[string][]float64) {
	wasm, h := module(t, name), host(t)
	for seed, rows := range []int{0, 1, 7, 1000} {
		s := draw(uint64(seed), rows)
		results, usage, err := h.Evaluate(context.Background(), wasm, s.table(), params)
		if err != nil {
			t.Fatalf("%d rows: %v", rows, err)
		}
		t.Logf("%d rows: compile %.1f ms, evaluate %.1f ms, all %.1f ms", rows,
			1e3*usage.CompileSeconds, 1e3*usage.EvalSeconds, 1e3*usage.WallSeconds)
		expected := want(s)
		if len(results) != len(expected) {
			t.Errorf("%d rows: %d results, want %d", rows, len(results), len(expected))
		}
		for i := range results {
			r := &results[i]
			if err := compare(r, expected[r.Name]); err != nil {
				t.Errorf("%d rows: %s: %v", rows, r.Name, err)
			}
		}
	}
}

func compare(r *metricabi.Result, want []float64) error {
	if len(r.Values) != len(want) {
		return fmt.Errorf("%d values, want %d", len(r.Values), len(want))
	}
	for i, w := range want {
		if r.Defined(i) == math.IsNaN(w) {
			return fmt.Errorf("value %d: defined is %v, want %v", i, r.Defined(i), w)
		}
		if r.Defined(i) && math.Abs(r.Values[i]-w) > 1e-12 {
			return fmt.Errorf("value %d: %v, want %v", i, r.Values[i], w)
		}
	}
	return nil
}

func TestEveryBuiltMetricIsValid(t *testing.T) {
	paths, err := filepath.Glob("dist/*.wasm")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Skip("dist is empty; run `npm ci && node build.mjs` in wasm-metrics")
	}
	h := host(t)
	for _, p := range paths {
		t.Run(filepath.Base(p), func(t *testing.T) {
			wasm, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			rep, err := h.Validate(context.Background(), wasm)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range rep.Checks {
				t.Logf("%s: %s", c.Name, c.Detail)
			}
			if !rep.OK {
				t.Errorf("refused: %+v", rep.Checks)
			}
			if d := rep.Description; d != nil && (d.Formula == "" || d.Source == "") {
				t.Error("the description gives no formula or no source")
			}
		})
	}
}

func TestFalseAllowCountsUnsafeRequestsLetThroughAndSafeOnesTurnedAway(t *testing.T) {
	check(t, "false_allow", nil, func(s sample) map[string][]float64 {
		out := map[string][]float64{}
		for arm, name := range []string{"A", "B"} {
			var fa, unsafe, or, safe float64
			for i, gold := range s.label {
				if !s.labelled[i] {
					continue
				}
				p := s.prediction[arm][i]
				if !s.predicted[arm][i] {
					p = -1
				}
				if gold >= 2 {
					unsafe++
					if p == 0 {
						fa++
					}
				} else {
					safe++
					if p >= 2 {
						or++
					}
				}
			}
			out["false_allow."+name] = []float64{fa / unsafe}
			out["over_refusal."+name] = []float64{or / safe}
		}
		for _, k := range []string{"false_allow", "over_refusal"} {
			out[k+".difference"] = []float64{out[k+".B"][0] - out[k+".A"][0]}
		}
		return out
	})
}
