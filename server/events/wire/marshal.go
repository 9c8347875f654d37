// Package wire writes JSON as it leaves the server: like encoding/json (HTML-escaped, map keys sorted),
// but NaN and the infinities become null instead of an error, since a metric may well be one.
package wire

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Marshal encodes v. It fails where encoding/json does, non-finite numbers aside. Maps need keys whose
// kind is string.
func Marshal(v any) ([]byte, error) {
	return appendValue(nil, reflect.ValueOf(v), 0)
}

const maxDepth = 64 // a cycle would not end

var (
	rawType  = reflect.TypeFor[json.RawMessage]()
	timeType = reflect.TypeFor[time.Time]()
	jsonType = reflect.TypeFor[json.Marshaler]()
	textType = reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()
)

func appendValue(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("json: nested more than %d deep", maxDepth)
	}
	if !v.IsValid() {
		return append(b, "null"...), nil
	}
	t := v.Type()
	if speaksForItself(t) {
		return appendStandard(b, v)
	}
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return append(b, "null"...), nil
		}
		return appendFloat(b, v.Float(), t.Bits()), nil
	case reflect.String:
		if t.Name() != "Number" { // json.Number is written as a number
			return appendString(b, v.String())
		}
	case reflect.Bool:
		return strconv.AppendBool(b, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(b, v.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.AppendUint(b, v.Uint(), 10), nil
	case reflect.Interface, reflect.Pointer:
		if v.IsNil() {
			return append(b, "null"...), nil
		}
		return appendValue(b, v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		return appendList(b, v, depth)
	case reflect.Map:
		return appendMap(b, v, depth)
	case reflect.Struct:
		b = append(b, '{')
		b, _, err := appendFields(b, v, depth, true)
		return append(b, '}'), err
	}
	return appendStandard(b, v)
}

func appendStandard(b []byte, v reflect.Value) ([]byte, error) {
	enc, err := json.Marshal(v.Interface())
	return append(b, enc...), err
}

func appendList(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.Kind() == reflect.Slice && v.IsNil() {
		return append(b, "null"...), nil
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return appendStandard(b, v) // base64
	}
	b = append(b, '[')
	var err error
	for i := range v.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, v.Index(i), depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendMap(b []byte, v reflect.Value, depth int) ([]byte, error) {
	if v.IsNil() {
		return append(b, "null"...), nil
	}
	if v.Type().Key().Kind() != reflect.String {
		return nil, fmt.Errorf("json: map with keys of type %s", v.Type().Key())
	}
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	b = append(b, '{')
	var err error
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendString(b, k.String()); err != nil {
			return nil, err
		}
		b = append(b, ':')
		if b, err = appendValue(b, v.MapIndex(k), depth+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// appendFields writes a struct's fields without the braces; those of embedded structs stand among them.
func appendFields(b []byte, v reflect.Value, depth int, first bool) ([]byte, bool, error) {
	var err error
	for _, f := range fieldsOf(v.Type()) {
		fv := v.Field(f.index)
		if f.embedded {
			if b, first, err = appendFields(b, fv, depth+1, first); err != nil {
				return nil, false, err
			}
			continue
		}
		if f.omitEmpty && empty(fv) || f.omitZero && zero(fv) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, f.name...)
		if b, err = appendValue(b, fv, depth+1); err != nil {
			return nil, false, err
		}
	}
	return b, first, nil
}

type field struct {
	index               int
	name                string // quoted, with its colon
	omitEmpty, omitZero bool
	embedded            bool
}

var fieldCache sync.Map // reflect.Type → []field

func fieldsOf(t reflect.Type) []field {
	if c, ok := fieldCache.Load(t); ok {
		return c.([]field)
	}
	var out []field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("json")
		name, opts, _ := strings.Cut(tag, ",")
		if !sf.IsExported() || tag == "-" {
			continue
		}
		if sf.Anonymous && name == "" && sf.Type.Kind() == reflect.Struct {
			out = append(out, field{index: i, embedded: true})
			continue
		}
		if name == "" {
			name = sf.Name
		}
		q, err := json.Marshal(name)
		if err != nil {
			continue // a field name is always a string
		}
		out = append(out, field{
			index: i, name: string(q) + ":",
			omitEmpty: strings.Contains(opts, "omitempty"), omitZero: strings.Contains(opts, "omitzero"),
		})
	}
	fieldCache.Store(t, out)
	return out
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.String, reflect.Array:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

func zero(v reflect.Value) bool {
	if z, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return z.IsZero()
	}
	return v.IsZero()
}
