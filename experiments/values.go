package experiments

import (
	"encoding/json"
	"math"
)

// Values are figures of which some may be undefined: NaN here, null in JSON. Infinities, which JSON
// has no place for either, become null too.
type Values []float64

// MarshalJSON writes what is not finite as null.
func (v Values) MarshalJSON() ([]byte, error) {
	if v == nil {
		return []byte("null"), nil
	}
	out := make([]*float64, len(v))
	for i := range v {
		if !math.IsNaN(v[i]) && !math.IsInf(v[i], 0) {
			out[i] = &v[i]
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads null as NaN.
func (v *Values) UnmarshalJSON(text []byte) error {
	var in []*float64
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*v = nil
	for _, x := range in {
		if x == nil {
			*v = append(*v, math.NaN())
		} else {
			*v = append(*v, *x)
		}
	}
	return nil
}
