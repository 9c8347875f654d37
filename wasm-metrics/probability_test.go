package wasmmetrics_test

import (
	"context"
	"maps"
	"math"
	"reflect"
	"testing"

	"triality/runtime/metricabi"
)

var nan = math.NaN()

func TestBrierIsTheSquaredDistanceToTheGoldClass(t *testing.T) {
	for _, name := range []string{"brier", "brier_c"} {
		t.Run(name, func(t *testing.T) { check(t, name, nil, squaredDistance) })
	}
}

func squaredDistance(s sample) map[string][]float64 {
	var all [2]float64
	rows := map[string][]float64{}
	for arm, name := range []string{"brier_row.A", "brier_row.B"} {
		rows[name] = []float64{}
		for i, p := range s.probabilities[arm] {
			// |p - onehot|² = |p|² - 2 p_gold + 1, another way round.
			v := 1 - 2*p[s.label[i]]
			for _, x := range p {
				v += x * x
			}
			if !s.labelled[i] {
				v = nan
			}
			rows[name] = append(rows[name], v)
		}
		all[arm] = meanOf(rows[name])
	}
	maps.Copy(rows, twoArms("brier", all))
	return rows
}

func TestLogLossIsMinusTheLogarithmOfTheGoldProbability(t *testing.T) {
	for name, epsilon := range map[string]float64{"by default": 0, "with a large epsilon": 0.3} {
		t.Run(name, func(t *testing.T) {
			var params map[string]any
			if epsilon > 0 {
				params = map[string]any{"epsilon": epsilon}
			}
			check(t, "log_loss", params, func(s sample) map[string][]float64 {
				var all [2]float64
				rows := map[string][]float64{}
				for arm, name := range []string{"log_loss_row.A", "log_loss_row.B"} {
					rows[name] = []float64{}
					for i, p := range s.probabilities[arm] {
						v := -math.Log2(math.Max(p[s.label[i]], epsilon)) * math.Ln2
						if !s.labelled[i] {
							v = nan
						}
						rows[name] = append(rows[name], v)
					}
					all[arm] = meanOf(rows[name])
				}
				maps.Copy(rows, twoArms("log_loss", all))
				return rows
			})
		})
	}
}

// twoClasses is a table of arm A with three rows: certain and right, undecided,
// and without a probability.
func twoClasses() metricabi.Table {
	table := metricabi.Table{Rows: 3, Columns: append(metricabi.ClassColumns("a", "b"),
		metricabi.Int32Column(metricabi.RoleLabel, metricabi.ArmShared, "", []int32{0, 1, 1}),
		metricabi.Float64Column(metricabi.RoleProbability, metricabi.ArmA, "a", []float64{1, 0.5, 0.5}),
		metricabi.Float64Column(metricabi.RoleProbability, metricabi.ArmA, "b", []float64{0, 0.5, nan}))}
	table.Columns[4].SetValid([]bool{true, true, false})
	return table
}

func TestBrierAndLogLossByHand(t *testing.T) {
	checkTable(t, "brier", twoClasses(), nil, map[string][]float64{"brier.A": {0.25}, "brier_row.A": {0, 0.5, nan}})
	checkTable(t, "log_loss", twoClasses(), nil, map[string][]float64{"log_loss.A": {math.Ln2 / 2}, "log_loss_row.A": {0, math.Ln2, nan}})
	certain := twoClasses()
	certain.Columns[2].Int32[0] = 1 // certain and wrong
	checkTable(t, "brier", certain, nil, map[string][]float64{"brier.A": {1.25}, "brier_row.A": {2, 0.5, nan}})
	checkTable(t, "log_loss", certain, map[string]any{"epsilon": 0.25},
		map[string][]float64{"log_loss.A": {1.5 * math.Ln2}, "log_loss_row.A": {2 * math.Ln2, math.Ln2, nan}})
}

func TestProbabilitiesOutsideZeroAndOneAreRefused(t *testing.T) {
	for _, wrong := range []float64{1.5, -0.25, math.Inf(1), nan} {
		table := twoClasses()
		table.Columns[3].Float64[0] = wrong
		for _, name := range []string{"brier", "log_loss"} {
			refuses(t, name, table, nil, "arm A: a probability is not between 0 and 1")
		}
	}
}

func TestBrierInCIsBrierToTheBit(t *testing.T) {
	inC := module(t, "brier_c")
	for _, rows := range []int{0, 1, 1000, 20_000} {
		table := draw(7, rows).table()
		want, _, err := sandboxed.Evaluate(context.Background(), module(t, "brier"), table, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := sandboxed.Evaluate(context.Background(), inC, table, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) { // no NaN can be in them, and -0 is nowhere
			t.Errorf("%d rows: the results differ", rows)
		}
	}
	table := twoClasses()
	table.Columns[3].Float64[0] = 1.5
	refuses(t, "brier_c", table, nil, "arm A: a probability is not between 0 and 1")
}
