package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
)

// ModuleResult is what one WebAssembly metric gave with one set of parameters.
type ModuleResult struct {
	// Key tells the result from every other: ModuleKey of the module and its parameters. The name is for
	// people; two modules may have the same.
	Key     string         `json:"key"`
	Name    string         `json:"name"`
	Version string         `json:"version"`
	SHA256  string         `json:"sha256"`
	Params  map[string]any `json:"params,omitempty"` // as they were given; the others have their defaults
	Outputs []MetricOutput `json:"outputs,omitempty"`
	Slices  []ModuleSlice  `json:"slices,omitempty"` // the same of parts of the rows, where asked for
	Error   string         `json:"error,omitempty"`  // why it gave nothing; the run goes on
	WallMS  float64        `json:"wall_ms"`
	// System says that the error is none of the module's: this machine could not run it.
	System bool   `json:"system,omitempty"`
	Log    string `json:"log,omitempty"` // the first and the last of what it wrote
	// Notes say what it had to do without, such as a cache, which is no fault of its own.
	Notes []string `json:"notes,omitempty"`
}

// MetricOutput is one named result of a module. An interval has three values: the estimate, low, high;
// group_intervals three for each of Groups, groups one.
type MetricOutput struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"`      // "scalar", "vector", "column", "interval", "groups", "group_intervals"
	Direction string   `json:"direction"` // "higher", "lower", "none"
	Values    Values   `json:"values"`
	Level     float64  `json:"level,omitempty"` // of intervals: their confidence
	Groups    []string `json:"groups,omitempty"`
}

// Width is how many of Values belong together.
func (o *MetricOutput) Width() int {
	if o.Kind == "interval" || o.Kind == "group_intervals" {
		return 3
	}
	return 1
}

// Of are the values of group i. A result that a client stored may have fewer values than groups: those are
// undefined.
func (o *MetricOutput) Of(i int) Values {
	out := make(Values, o.Width())
	for j := range out {
		if out[j] = math.NaN(); i*len(out)+j < len(o.Values) {
			out[j] = o.Values[i*len(out)+j]
		}
	}
	return out
}

// ModuleSlice is what a module gave on the rows of which By (the class, or a column) is Value.
type ModuleSlice struct {
	By      string         `json:"by"`
	Value   string         `json:"value"` // empty: the rows without one
	Rows    int            `json:"rows"`
	Outputs []MetricOutput `json:"outputs,omitempty"` // but no columns
	Error   string         `json:"error,omitempty"`   // why it gave nothing, or why there are no slices by By
}

// ModuleKey identifies a module (its SHA-256) with its parameters (canonical JSON: sorted names, each
// value as the module is handed it, defaults filled in). It is 16 hexadecimal digits.
func ModuleKey(module string, params []byte) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s", module, params))
	return hex.EncodeToString(sum[:8])
}

// GivenKey is ModuleKey where a module's own defaults are not known: of parameters as they were given.
func GivenKey(module string, params map[string]any) (string, error) {
	if params == nil {
		params = map[string]any{}
	}
	text, err := json.Marshal(params)
	if err != nil {
		return "", fmt.Errorf("parameters: %w", err)
	}
	return ModuleKey(module, text), nil
}

// UnmarshalJSON also reads results of before there was a key: theirs is made from the module and the
// parameters given.
func (m *ModuleResult) UnmarshalJSON(b []byte) error {
	type plain ModuleResult
	if err := json.Unmarshal(b, (*plain)(m)); err != nil {
		return err
	}
	if m.Key != "" {
		return nil
	}
	var err error
	m.Key, err = GivenKey(m.SHA256, m.Params)
	return err
}
