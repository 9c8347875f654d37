package wire

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"triality/experiments"
)

type info struct {
	experiments.Experiment
	Runs int       `json:"runs"`
	Last time.Time `json:"last_run_at,omitzero"`
}

func TestMarshalAgreesWithTheStandardEncoderOnFiniteValues(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	one := 1.5
	tests := map[string]any{
		"nothing":             nil,
		"a nil slice":         []int(nil),
		"bytes":               []byte("hi"),
		"text with markup":    "</script>\u2028 \xff 日本",
		"a map":               map[string]any{"b": 1, "a": []any{nil, true, 1.25, "x"}},
		"a number type":       json.Number("12"),
		"raw JSON":            experiments.Event{ID: 3, Data: json.RawMessage(`{"a":1}`)},
		"a pointer":           &one,
		"an embedded struct":  info{Experiment: experiments.Experiment{ID: "e", CreatedAt: when}, Runs: 2},
		"a run":               experiments.Run{ID: "r", CreatedAt: when, Summary: map[string]float64{"x": 1}, Steps: []experiments.Step{{Kind: "convert", Progress: &experiments.Progress{Rate: 0.1}}}},
		"a run without parts": experiments.Run{},
		"an A/B result":       experiments.ABResult{Metrics: []experiments.ModuleResult{{Params: map[string]any{"k": 1.0}}}},
		"a skipped field": struct {
			A int `json:"-"`
			B int
		}{1, 2},
	}
	for name, v := range tests {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Marshal(v)
			if err != nil || string(got) != string(want) {
				t.Errorf("error %v\n got %s\nwant %s", err, got, want)
			}
		})
	}
}

func TestMarshalWritesNonFiniteNumbersAsNull(t *testing.T) {
	inf := math.Inf(-1)
	got, err := Marshal(map[string]any{
		"a": math.NaN(), "b": []float64{1, math.Inf(1)}, "c": &inf, "d": float32(math.NaN()),
		"e": experiments.Point{Value: math.NaN()},
	})
	want := `{"a":null,"b":[1,null],"c":null,"d":null,"e":{"step":0,"time":0,"value":null}}`
	if err != nil || string(got) != want {
		t.Errorf("error %v\n got %s\nwant %s", err, got, want)
	}
}

func TestMarshalReportsWhatItCannotEncode(t *testing.T) {
	type loop struct{ Next any }
	l := &loop{}
	l.Next = l
	for name, v := range map[string]any{
		"a channel": make(chan int), "a function in a map": map[string]any{"f": func() {}},
		"a map with number keys": map[int]int{1: 2}, "a cycle": l, "broken raw JSON": json.RawMessage("{"),
	} {
		if b, err := Marshal(v); err == nil {
			t.Errorf("%s: no error, %s", name, b)
		}
	}
}
