package sweep

import (
	"encoding/json"

	"triality/experiments/graph"
)

// Result is what a sweep found, a function of its body and of its points' results alone.
type Result struct {
	Of        string   `json:"of"`
	Step      string   `json:"step"`   // whose metric
	Metric    string   `json:"metric"` // its series, of which the last value counts
	Direction string   `json:"direction"`
	Method    string   `json:"method"`
	Keys      []string `json:"keys"`
	Budget    string   `json:"budget,omitempty"` // the key that each round gives more of
	Rounds    []Round  `json:"rounds"`
	Points    []Point  `json:"points"`
	Best      Best     `json:"best"`
	// Looks is how many values the best was chosen from: the more, the more of its lead is luck.
	Looks int `json:"looks"`
}

// Round is a round of the sweep; grid and random have one.
type Round struct {
	Budget json.RawMessage `json:"budget,omitempty"`
	Points int             `json:"points"`
}

// Point is a configuration and what came of it.
type Point struct {
	Name   string                     `json:"name"`
	Params map[string]json.RawMessage `json:"params"`
	// State is finished, stopped (by successive halving) or failed; Reason says why it is one of the last two.
	State  string   `json:"state"`
	Reason string   `json:"reason,omitempty"`
	Value  *float64 `json:"value"` // in its last round; null: none
	Tries  []Try    `json:"tries"`
}

// Try is a point in a round.
type Try struct {
	Name  string   `json:"name"` // of its run
	Key   string   `json:"key"`  // of the step that logs the metric
	Value *float64 `json:"value"`
	Rank  int      `json:"rank"` // among the round's points, from 1
}

// Best is the best point of the last round.
type Best struct {
	Point int     `json:"point"` // in Points, from 0
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// States of a point.
const (
	Finished = "finished"
	Stopped  = "stopped"
	Failed   = "failed"
)

// ReadResult reads a sweep's file.
func ReadResult(path string) (Result, error) {
	var r Result
	err := graph.ReadJSON(path, &r)
	return r, err
}
