package report

import (
	"bytes"
	"encoding/json"
	"reflect"

	"triality/runtime/printable"
)

// escapeTexts makes every text of a page printable: names, messages and texts come from files, models and
// modules, and HTML's own escaping leaves what hides or reorders.
func escapeTexts(p *page) error { return escapeValue(reflect.ValueOf(p).Elem()) }

func escapeValue(v reflect.Value) error {
	switch {
	case v.Type() == reflect.TypeFor[json.RawMessage]():
		escaped, err := escapeJSON(v.Bytes())
		if err == nil {
			v.SetBytes(escaped)
		}
		return err
	case v.Type() == reflect.TypeFor[string]():
		v.SetString(printable.Text(v.String()))
	case v.Kind() == reflect.Pointer && !v.IsNil(): // pages point to what was made for them
		return escapeValue(v.Elem())
	case v.Kind() == reflect.Slice && v.Len() > 0:
		copied := reflect.MakeSlice(v.Type(), v.Len(), v.Len()) // it may be the caller's
		reflect.Copy(copied, v)
		v.Set(copied)
		for i := range v.Len() {
			if err := escapeValue(v.Index(i)); err != nil {
				return err
			}
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if err := escapeValue(v.Field(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// escapeJSON escapes the strings of a chart's options: as values, since what escapes JSON's text alone is
// undone where it is read.
func escapeJSON(text []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if escaped, changed := escapeStrings(v); changed {
		return json.Marshal(escaped)
	}
	return text, nil
}

func escapeStrings(v any) (escaped any, changed bool) {
	switch v := v.(type) {
	case string:
		s := printable.Text(v)
		return s, s != v
	case []any:
		for i := range v {
			e, c := escapeStrings(v[i])
			v[i], changed = e, changed || c
		}
	case map[string]any:
		for k := range v {
			e, c := escapeStrings(v[k])
			v[k], changed = e, changed || c
		}
	}
	return v, changed
}
