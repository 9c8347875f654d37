package wasmmetrics_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"triality/runtime/metricabi"
)

// predicted is the class a row was given, -1 for none.
func (s sample) predictedClass(arm, i int) int {
	if !s.predicted[arm][i] {
		return -1
	}
	return s.prediction[arm][i]
}

func TestCohensKappaIsAgreementBeyondChance(t *testing.T) {
	// Whole numbers, so that sums over pairs are exact: kappa knows no scale.
	distance := map[string]func(gold, predicted float64) float64{
		"none":      func(a, b float64) float64 { return 1 },
		"linear":    func(a, b float64) float64 { return math.Abs(a - b) },
		"quadratic": func(a, b float64) float64 { return (a - b) * (a - b) },
	}
	furthest := map[string]float64{"none": 1, "linear": 3, "quadratic": 9}
	for weights, d := range distance {
		t.Run(weights, func(t *testing.T) {
			params := map[string]any{"weights": weights}
			if weights == "none" {
				params = nil // the default
			}
			// Chance as the mean over every pair of a gold and a predicted class
			// of two rows, not by frequencies.
			weight := func(gold, predicted int) float64 {
				switch {
				case gold == predicted:
					return 0
				case predicted < 0:
					return furthest[weights]
				}
				return d(float64(gold), float64(predicted))
			}
			check(t, "cohen_kappa", params, func(s sample) map[string][]float64 {
				var kappa [2]float64
				for arm := range kappa {
					var off, chance, n float64
					for i := range s.label {
						if !s.labelled[i] {
							continue
						}
						n++
						off += weight(s.label[i], s.predictedClass(arm, i))
						for j := range s.label {
							if s.labelled[j] {
								chance += weight(s.label[i], s.predictedClass(arm, j))
							}
						}
					}
					kappa[arm] = 1 - (off/n)/(chance/(n*n))
					if chance == 0 {
						kappa[arm] = nan
					}
				}
				return twoArms("kappa", kappa)
			})
		})
	}
	refuses(t, "cohen_kappa", draw(1, 5).table(), map[string]any{"weights": "cubic"}, "cubic, want none, linear or quadratic")
}

func TestCohensKappaByHand(t *testing.T) {
	// 50 rows: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no; p_o = 0.7,
	// p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5, kappa = 0.4.
	var label, prediction []int32
	for _, c := range []struct{ gold, predicted, rows int32 }{{0, 0, 20}, {0, 1, 5}, {1, 0, 10}, {1, 1, 15}} {
		for range c.rows {
			label, prediction = append(label, c.gold), append(prediction, c.predicted)
		}
	}
	table := metricabi.Table{Rows: 50, Columns: append(metricabi.ClassColumns("yes", "no"),
		metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", label),
		metricabi.Int32Column(metricabi.RolePrediction, metricabi.ArmA, "", prediction))}
	for _, weights := range []string{"none", "linear", "quadratic"} { // the same for two classes
		checkTable(t, "cohen_kappa", table, map[string]any{"weights": weights}, map[string][]float64{"kappa.A": {0.4}})
	}
}

// grouped is a sample's table with columns to group it by, and each row's
// group, empty for none.
func grouped(s sample) (metricabi.Table, map[string][]string) {
	rng := rand.New(rand.NewPCG(uint64(len(s.label)), 5))
	table, groups := s.table(), map[string][]string{}
	for by, n := range map[string]int{"domain": 4, "language": 2, "group": 300} {
		values, valid := make([]string, len(s.label)), make([]bool, len(s.label))
		groups[by] = make([]string, len(s.label))
		for i := range values {
			values[i], valid[i] = fmt.Sprintf("%s 区分 %d", by, rng.IntN(n)), rng.IntN(12) > 0
			if valid[i] {
				groups[by][i] = values[i]
			}
		}
		c := metricabi.StringColumn(metricabi.RoleExtra, metricabi.ArmShared, by, values)
		if by == "group" {
			c = metricabi.StringColumn(metricabi.RoleGroup, metricabi.ArmShared, "", values)
		}
		c.SetValid(valid)
		table.Columns = append(table.Columns, c)
	}
	return table, groups
}

func TestWorstGroupIsTheGroupOfLowestAccuracy(t *testing.T) {
	for by, least := range map[string]float64{"domain": 10, "language": 1, "group": 3} {
		for seed, rows := range []int{0, 3, 1000} {
			s := draw(uint64(seed+20), rows)
			table, groups := grouped(s)
			right, size := [2]map[string]float64{{}, {}}, map[string]float64{}
			for i, g := range groups[by] {
				if g == "" || !s.labelled[i] {
					continue
				}
				size[g]++
				for arm := range right {
					if s.predictedClass(arm, i) == s.label[i] {
						right[arm][g]++
					}
				}
			}
			var worst, gap [2]float64
			groupsCounted := 0.0
			for arm := range right {
				lowest, r, n, counted := nan, 0.0, 0.0, 0.0
				for g, k := range size {
					if k < least {
						continue
					}
					counted++
					r, n = r+right[arm][g], n+k
					if a := right[arm][g] / k; !(a >= lowest) {
						lowest = a
					}
				}
				worst[arm], gap[arm], groupsCounted = lowest, r/n-lowest, counted
			}
			want := twoArms("worst", worst)
			for k, v := range twoArms("gap", gap) {
				want[k] = v
			}
			want["groups"] = []float64{groupsCounted}
			params := map[string]any{"by": by, "min_rows": least}
			if by == "domain" {
				params = nil // the defaults
			}
			checkTable(t, "worst_group", table, params, want)
		}
	}
}

func TestWorstGroupSaysWhichColumnIsMissing(t *testing.T) {
	refuses(t, "worst_group", draw(1, 5).table(), nil, "no column domain")
	refuses(t, "worst_group", draw(1, 5).table(), map[string]any{"by": "tenant"}, "tenant, want domain, language or group")
}

func TestDisagreementIsWhereTheArmsDiffer(t *testing.T) {
	check(t, "disagreement", nil, func(s sample) map[string][]float64 {
		differs, far := []float64{}, []float64{}
		for i := range s.label {
			d, total := 0.0, 0.0
			if s.predictedClass(0, i) != s.predictedClass(1, i) {
				d = 1
			}
			// The largest difference in probability of any set of classes.
			for c := range classes {
				total += math.Max(0, s.probabilities[0][i][c]-s.probabilities[1][i][c])
			}
			differs, far = append(differs, d), append(far, total)
		}
		return map[string][]float64{"disagreement": {meanOf(differs)}, "differs": differs, "distance": {meanOf(far)}, "distance_row": far}
	})
}

func TestDisagreementByHand(t *testing.T) {
	table := metricabi.Table{Rows: 4, Columns: append(metricabi.ClassColumns("a", "b"),
		ids(metricabi.RolePrediction, metricabi.ArmA, []int{0, 1, 0, 0}, []bool{true, true, false, false}),
		ids(metricabi.RolePrediction, metricabi.ArmB, []int{0, 0, 0, 0}, []bool{true, true, true, false}))}
	checkTable(t, "disagreement", table, nil, map[string][]float64{"disagreement": {0.5}, "differs": {0, 1, 1, 0}})
}

func TestLatencyObjectiveIsTheShareWithinTheLimit(t *testing.T) {
	for seed, rows := range []int{0, 1, 17, 1000} {
		rng := rand.New(rand.NewPCG(uint64(seed), 9))
		table := metricabi.Table{Rows: rows}
		for _, limit := range []float64{200, 77.5} {
			table.Columns = nil
			var share [2]float64
			for arm := range share {
				ms, valid := make([]float64, rows), make([]bool, rows)
				within, all := 0.0, 0.0
				for i := range ms {
					ms[i], valid[i] = math.Round(rng.Float64()*800)/2, rng.IntN(10) > 0
					if valid[i] {
						all++
						if ms[i] <= limit {
							within++
						}
					} else {
						ms[i] = -1
					}
				}
				share[arm] = within / all
				c := metricabi.Float64Column(metricabi.RoleLatency, metricabi.Arm(arm+1), "", ms)
				c.SetValid(valid)
				table.Columns = append(table.Columns, c)
			}
			params := map[string]any{"limit_ms": limit}
			if limit == 200 {
				params = nil // the default
			}
			checkTable(t, "latency_slo", table, params, twoArms("attainment", share))
			table.Columns = table.Columns[:1]
			checkTable(t, "latency_slo", table, params, map[string][]float64{"attainment.A": {share[0]}})
		}
	}
}
