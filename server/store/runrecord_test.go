package store

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/search"
)

// full sets every field that is left out when empty.
func full() experiments.Run {
	at := time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC)
	return experiments.Run{
		ID: "r1", ExperimentID: "e1", ParentID: "p1", Name: "tab\tquote\" back\\ é 日本 \u2028 <b>", Status: experiments.Failed,
		CreatedAt: at, StartedAt: at.Add(time.Second), EndedAt: at.Add(time.Hour), ArchivedAt: at.Add(2 * time.Hour),
		Error: "line\nline", Notes: "# *n*", Config: "a: {b: \"c}\"}\n", Job: &experiments.Job{QueuedAt: at, Dir: "/x \"y\""},
		Params:  map[string]string{"lr": "1e-4", "b": "", "a\"": "}{", "ü": "[1,2]"},
		Tags:    map[string]string{"team": "z", "empty": ""},
		Summary: map[string]float64{"loss": 0.25, "n": -3e-300, "big": math.MaxFloat64, "i": 7},
		Steps:   []experiments.Step{{Name: "s \"}", Status: experiments.Finished}, {Name: "t"}},
	}
}

func TestARecordIsReadAsEncodingJSONReadsIt(t *testing.T) {
	read := func(text string) (search.Record, bool) {
		s := scanner{text: text}
		return s.run()
	}
	plain := func(t *testing.T, text string) search.Record {
		var in indexed
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			t.Fatal(err)
		}
		return search.RecordOf(&in.Run)
	}
	for name, run := range map[string]experiments.Run{"every field": full(), "hardly any": {ID: "r"}, "times in a zone": {ID: "r", CreatedAt: time.Date(2026, 1, 1, 0, 0, 0, 1, time.FixedZone("", 3600))}} {
		raw, err := json.Marshal(run)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := read(string(raw))
		if want := plain(t, string(raw)); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v, want\n%+v", name, ok, got, want)
		}
	}
	// A field that is added to runs must be known here, or each record is read the slow way.
	v := reflect.ValueOf(full())
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("set experiments.Run.%s in this test, and read or skip it in scanner.run", v.Type().Field(i).Name)
		}
	}
	// What this program does not write is left to encoding/json.
	for _, text := range []string{
		`{"ID":"r1","name":"n"}`, `{"id":"r1","more":{"a":[1]}}`, ` {"id":"r1"}`, `{"id":"r1"} `, `{"id" : "r1"}`, `{"id":null}`, `{"id":"r1","params":null}`,
		`{"id":"r1","params":{"b":"1","a":"2"}}`, `{"id":"r1","tags":{"a":"1","a":"2"}}`,
	} {
		if _, ok := read(text); ok {
			t.Errorf("read here: %s", text)
		}
		got, err := readRecord([]byte(text))
		if want := plain(t, text); err != nil || got.ID != want.ID || len(got.Params) != len(want.Params) || len(got.Tags) != len(want.Tags) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	whole, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		if _, err := readRecord(whole[:cut]); err == nil {
			t.Errorf("a record that ends after %q is read", whole[:cut])
		}
	}
	for _, text := range []string{`{"id":"r","summary":{"x":1.2.3}}`, `{"id":"r","created_at":"yesterday"}`, "{\"id\":\"a\nb\"}", `{"id":"\x"}`, `{"id":5}`, strings.Repeat("{", 100)} {
		if r, err := readRecord([]byte(text)); err == nil {
			t.Errorf("%s is read: %+v", text, r)
		}
	}
}
