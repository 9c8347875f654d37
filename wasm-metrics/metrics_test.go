// Package wasmmetrics_test holds each built metric against a plain Go
// computation of the same formula.
package wasmmetrics_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"triality/runtime/metricabi"
	"triality/runtime/sandbox"
)

// sandboxed is the host of all tests, so that they share warm workers.
var sandboxed *sandbox.Host

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	// Under -race on a busy machine everything takes ten times as long.
	var err error
	sandboxed, err = sandbox.NewHost(sandbox.Options{
		CacheDir: filepath.Join("dist", ".cache"), Timeout: 5 * time.Minute, CompileTimeout: 5 * time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	status := m.Run()
	if err := sandboxed.Close(); err != nil {
		log.Fatal(err)
	}
	os.Exit(status)
}

var classes = []string{"ALLOW", "ESCALATION", "DENY", "REFUSE"}

// module reads a built metric; where it was not built the test skips.
func module(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("dist", name+".wasm"))
	if os.IsNotExist(err) {
		t.Skipf("dist/%s.wasm is not built; run `npm ci && node build.mjs` in wasm-metrics, which says what a skipped metric lacks", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
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
	for seed, rows := range []int{0, 1, 7, 1000} {
		s := draw(uint64(seed), rows)
		checkTable(t, name, s.table(), params, want(s))
	}
}

// checkTable evaluates a module on one table and compares every value; NaN in
// want stands for undefined.
func checkTable(t *testing.T, name string, table metricabi.Table, params map[string]any, want map[string][]float64) {
	t.Helper()
	results, usage, err := sandboxed.Evaluate(context.Background(), module(t, name), table, params)
	if err != nil {
		t.Fatalf("%d rows: %v", table.Rows, err)
	}
	t.Logf("%d rows: compile %.1f ms, evaluate %.1f ms, all %.1f ms", table.Rows,
		1e3*usage.CompileSeconds, 1e3*usage.EvalSeconds, 1e3*usage.WallSeconds)
	if len(results) != len(want) {
		t.Errorf("%d rows: %d results, want %d", table.Rows, len(results), len(want))
	}
	for i := range results {
		r := &results[i]
		if err := compare(r, want[r.Name]); err != nil {
			t.Errorf("%d rows: %s: %v", table.Rows, r.Name, err)
		}
	}
}

// refuses checks that a metric answers with an error text of its own.
func refuses(t *testing.T, name string, table metricabi.Table, params map[string]any, text string) {
	t.Helper()
	_, _, err := sandboxed.Evaluate(context.Background(), module(t, name), table, params)
	if !errors.Is(err, sandbox.ErrMetric) || !strings.Contains(err.Error(), text) {
		t.Errorf("with %v: %v, want %q", params, err, text)
	}
}

// twoArms names the results of both arms and their difference as metrics do.
func twoArms(name string, values [2]float64) map[string][]float64 {
	return map[string][]float64{name + ".A": {values[0]}, name + ".B": {values[1]}, name + ".difference": {values[1] - values[0]}}
}

func meanOf(v []float64) float64 {
	sum, n := 0.0, 0.0
	for _, x := range v {
		if !math.IsNaN(x) {
			sum += x
			n++
		}
	}
	return sum / n
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
	for _, p := range paths {
		t.Run(filepath.Base(p), func(t *testing.T) {
			wasm, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			rep, err := sandboxed.Validate(context.Background(), wasm)
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

func TestCalibrationIsTheMeanGapBetweenConfidenceAndAccuracy(t *testing.T) {
	for _, bins := range []int{10, 3} {
		t.Run(fmt.Sprintf("%d bins", bins), func(t *testing.T) {
			params := map[string]any{"bins": bins}
			if bins == 10 {
				params = nil // the default
			}
			check(t, "calibration", params, func(s sample) map[string][]float64 {
				out := map[string][]float64{}
				for arm, name := range []string{"A", "B"} {
					rows, conf, acc := make([]float64, bins), make([]float64, bins), make([]float64, bins)
					for i, p := range s.probabilities[arm] {
						if !s.labelled[i] {
							continue
						}
						best := slices.Index(p, slices.Max(p))
						b := int(p[best] * float64(bins))
						rows[b]++
						conf[b] += p[best]
						if best == s.label[i] {
							acc[b]++
						}
					}
					ece, all := 0.0, 0.0
					for b := range rows {
						all += rows[b]
						conf[b] /= rows[b]
						acc[b] /= rows[b]
					}
					for b := range rows {
						if rows[b] > 0 {
							ece += rows[b] / all * math.Abs(acc[b]-conf[b])
						}
					}
					if all == 0 {
						ece = math.NaN()
					}
					out["ece."+name] = []float64{ece}
					out["rows."+name], out["confidence."+name], out["accuracy."+name] = rows, conf, acc
				}
				out["ece.difference"] = []float64{out["ece.B"][0] - out["ece.A"][0]}
				return out
			})
		})
	}
}

func TestMCCIsTheCorrelationOfIndicatorVectors(t *testing.T) {
	// The definition as a covariance of one-hot vectors, not the closed form
	// the module uses.
	check(t, "mcc", nil, func(s sample) map[string][]float64 {
		out := map[string][]float64{}
		k := len(classes) + 1 // one more for "no prediction"
		for arm, name := range []string{"A", "B"} {
			var x, y [][]float64
			for i := range s.label {
				if !s.labelled[i] {
					continue
				}
				gx, px := make([]float64, k), make([]float64, k)
				gx[s.label[i]] = 1
				if s.predicted[arm][i] {
					px[s.prediction[arm][i]] = 1
				} else {
					px[k-1] = 1
				}
				x, y = append(x, gx), append(y, px)
			}
			cov := func(a, b [][]float64) float64 {
				sum := 0.0
				for c := range k {
					ma, mb := 0.0, 0.0
					for i := range a {
						ma += a[i][c] / float64(len(a))
						mb += b[i][c] / float64(len(a))
					}
					for i := range a {
						sum += (a[i][c] - ma) * (b[i][c] - mb)
					}
				}
				return sum
			}
			out["mcc."+name] = []float64{cov(x, y) / math.Sqrt(cov(x, x)*cov(y, y))}
		}
		out["mcc.difference"] = []float64{out["mcc.B"][0] - out["mcc.A"][0]}
		return out
	})
}

func TestCostRiskIsTheMeanOfTheCostMatrix(t *testing.T) {
	matrix := []float64{0, 1, 2, 2, 2, 0, 1, 1, 8, 2, 0, 1, 10, 3, 1, 0}
	other := []float64{0.5, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, -2}
	for name, c := range map[string]struct {
		params  map[string]any
		cost    []float64
		missing float64
	}{
		"by default":                {nil, matrix, 5},
		"with a matrix of the user": {map[string]any{"cost": other, "missing": 0.25}, other, 0.25},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, "cost_risk", c.params, func(s sample) map[string][]float64 {
				out := map[string][]float64{}
				for arm, name := range []string{"A", "B"} {
					costs := []float64{}
					sum, n := 0.0, 0.0
					for i := range s.label {
						v := c.cost[4*s.label[i]+s.prediction[arm][i]]
						switch {
						case !s.labelled[i]:
							v = math.NaN()
						case !s.predicted[arm][i]:
							v = c.missing
						}
						costs = append(costs, v)
						if s.labelled[i] {
							sum += v
							n++
						}
					}
					out["risk."+name], out["cost."+name] = []float64{sum / n}, costs
				}
				out["risk.difference"] = []float64{out["risk.B"][0] - out["risk.A"][0]}
				return out
			})
		})
	}
	refuses(t, "cost_risk", draw(1, 5).table(), map[string]any{"cost": []float64{1, 2}}, "4 classes need 16")
}

func TestAccuracyIsTheShareOfRowsThatAgree(t *testing.T) {
	check(t, "accuracy", nil, func(s sample) map[string][]float64 {
		right, all := 0.0, 0.0
		for i := range s.label {
			if s.labelled[i] {
				all++
				if s.predicted[0][i] && s.prediction[0][i] == s.label[i] {
					right++
				}
			}
		}
		return map[string][]float64{"accuracy.A": {right / all}}
	})
}

func TestAMetricOfTwoArmsMeasuresOneAlone(t *testing.T) {
	one := draw(3, 200).table()
	one.Columns = slices.DeleteFunc(one.Columns, func(c metricabi.Column) bool { return c.Arm == metricabi.ArmB })
	for _, name := range []string{"false_allow", "calibration", "mcc", "cost_risk", "brier", "log_loss", "cohen_kappa"} {
		t.Run(name, func(t *testing.T) {
			results, _, err := sandboxed.Evaluate(context.Background(), module(t, name), one, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(results) == 0 {
				t.Error("no results")
			}
			for _, r := range results {
				if !strings.HasSuffix(r.Name, ".A") {
					t.Errorf("result %s without an arm B", r.Name)
				}
			}
		})
	}
}
