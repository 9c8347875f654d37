package inferencebench

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

// A small measurement sees gross faults; docs/verdict.md has the figures of a large one.
func TestIntervalsHoldTestsKeepTheirLevelAndStoppingSaves(t *testing.T) {
	r, err := Run(t.Context(), Options{Simulations: 100, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Coverage {
		for name, s := range c.Of {
			if !strings.Contains(name, "bootstrap") && s.Share < 0.95-4.5*math.Sqrt(0.0475/float64(s.Simulations)) {
				t.Errorf("%d rows in clusters of %d: %s holds %.3f", c.Rows, c.ClusterSize, name, s.Share)
			}
		}
	}
	for _, c := range r.Seeds {
		for name, s := range c.Of {
			if !strings.Contains(name, "as given") && s.Share < 0.95-4.5*math.Sqrt(0.0475/float64(s.Simulations)) {
				t.Errorf("%d trainings, %d rows in clusters of %d: %s holds %.3f", c.Trainings, c.Rows, c.ClusterSize, name, s.Share)
			}
		}
		if f := c.FalseWins; f.Share > 0.05+4.5*math.Sqrt(0.0475/float64(f.Simulations)) {
			t.Errorf("%d trainings, %d rows in clusters of %d: %.3f false wins", c.Trainings, c.Rows, c.ClusterSize, f.Share)
		}
		if c.Width < c.RowsWidth {
			t.Errorf("%d trainings, %d rows in clusters of %d: over seeds the interval is narrower, %.3f and %.3f", c.Trainings, c.Rows, c.ClusterSize, c.Width, c.RowsWidth)
		}
	}
	for _, f := range r.FalseWins {
		if !strings.Contains(f.Test, "not offered") && f.Of.Share > 0.05+4.5*math.Sqrt(0.0475/float64(f.Of.Simulations)) {
			t.Errorf("%+v", f)
		}
		if strings.Contains(f.Test, "fixed-sample") && f.Of.Share < 0.15 {
			t.Errorf("looking often is said to do no harm: %+v", f)
		}
	}
	for _, p := range r.Power {
		if d := p.Of.Share - p.Calculated; d > 0.1 || d < -0.1 {
			t.Errorf("%+v", p)
		}
	}
	for _, s := range r.Sequential {
		if s.Ratio > 0.5 || s.Stopped.Share < 0.9 {
			t.Errorf("%+v", s)
		}
	}
	var one, two []Power
	for threads, got := range map[int]*[]Power{1: &one, 4: &two} {
		if *got, err = (&simulator{Options: Options{Simulations: 100, Seed: 1, Threads: threads}}).power(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !reflect.DeepEqual(one, two) {
		t.Error("another number of threads gives other figures")
	}
}
