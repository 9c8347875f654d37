package hfdataset

import (
	"bytes"
	"encoding/json"
	"fmt"
)

const (
	dictName  = "dataset_dict.json"
	stateName = "state.json"
	infoName  = "dataset_info.json"
	// schemaKey is the Arrow schema metadata key that carries the features.
	schemaKey = "huggingface"
)

type dict struct {
	Splits []string `json:"splits"`
}

// state is state.json; the fields are in the reference's (alphabetical) order.
type state struct {
	DataFiles        []dataFile     `json:"_data_files"`
	Fingerprint      string         `json:"_fingerprint"`
	FormatColumns    []string       `json:"_format_columns"`
	FormatKwargs     map[string]any `json:"_format_kwargs"`
	FormatType       *string        `json:"_format_type"`
	OutputAllColumns bool           `json:"_output_all_columns"`
	Split            *string        `json:"_split"`
}

type dataFile struct {
	Filename string `json:"filename"`
}

type info struct {
	Citation    string          `json:"citation"`
	Description string          `json:"description"`
	Features    json.RawMessage `json:"features"`
	Homepage    string          `json:"homepage"`
	License     string          `json:"license"`
}

// features describes the columns, in their order. Lists are spelled "Sequence",
// which versions of datasets before and after 4.0 both read.
func features(cols []Column) (json.RawMessage, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, c := range cols {
		name, err := json.Marshal(c.Name)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(name)
		switch c.Kind {
		case String, Int64, Float64, Bool:
			fmt.Fprintf(&b, `:{"dtype":%q,"_type":"Value"}`, c.Kind)
		case ListInt32:
			b.WriteString(`:{"feature":{"dtype":"int32","_type":"Value"},"_type":"Sequence"}`)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
