package experiments

import (
	"bytes"
	"encoding/json"
)

// Columns are fields of a row that the schema does not know, by name, as JSON has them: text is a string,
// a number a json.Number with every digit it was written with.
type Columns map[string]any

// UnmarshalJSON keeps the digits of numbers.
func (c *Columns) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(c))
}
