package hfdataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
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
		case String, Int64:
			fmt.Fprintf(&b, `:{"dtype":%q,"_type":"Value"}`, c.Kind)
		case ListInt32:
			b.WriteString(`:{"feature":{"dtype":"int32","_type":"Value"},"_type":"Sequence"}`)
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// fingerprint is 16 hexadecimal digits that depend on the split's name, columns
// and values alone.
func fingerprint(s *Split) string {
	h := sha256.New()
	number := func(n int64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], uint64(n))
		h.Write(b[:])
	}
	text := func(v string) {
		number(int64(len(v)))
		h.Write([]byte(v))
	}
	text(s.Name)
	number(int64(len(s.Columns)))
	var list []byte
	for _, c := range s.Columns {
		text(c.Name)
		number(int64(c.Kind))
		number(int64(c.Len()))
		for _, v := range c.Strings {
			text(v)
		}
		for _, v := range c.Ints {
			number(v)
		}
		for _, v := range c.Lists {
			number(int64(len(v)))
			list = list[:0]
			for _, x := range v {
				list = binary.LittleEndian.AppendUint32(list, uint32(x))
			}
			h.Write(list)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
