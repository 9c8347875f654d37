package config

import (
	"encoding/json"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Schema is a JSON Schema (2020-12) of a section or a key, as far as forms and completion need it.
type Schema struct {
	Type        string             `json:"type,omitempty"` // empty: any
	Description string             `json:"description,omitempty"`
	Default     json.RawMessage    `json:"default,omitempty"`
	Enum        []string           `json:"enum,omitempty"`
	Minimum     *float64           `json:"minimum,omitempty"`
	Maximum     *float64           `json:"maximum,omitempty"`
	Above       *float64           `json:"exclusiveMinimum,omitempty"`
	Below       *float64           `json:"exclusiveMaximum,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false: no other keys
	Items       *Schema            `json:"items,omitempty"`
	// Keys are the properties in the order of the struct. Takes says what steps give that may stand there, and Text that the
	// value is a text of several lines.
	Keys  []string `json:"x-keys,omitempty"`
	Takes []string `json:"x-takes,omitempty"`
	Text  bool     `json:"x-text,omitempty"`
}

// SchemaOf is the schema of the struct that v points to, whose values are the defaults. The types of own are as it says.
func SchemaOf(v any, own func(f reflect.StructField) *Schema) *Schema {
	return sectionSchema(reflect.ValueOf(v).Elem(), own)
}

func sectionSchema(v reflect.Value, own func(reflect.StructField) *Schema) *Schema {
	out := &Schema{Type: "object", Properties: map[string]*Schema{}, Additional: false}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		key := f.Tag.Get("yaml")
		if key == "-" || key == "" || !f.IsExported() {
			continue
		}
		s := own(f)
		if s == nil {
			s = valueSchema(v.Field(i), own)
			if values := choiceOf(v.Type(), f); values != nil {
				s.Enum = values
			}
			if r, ok := spanOf(f); ok {
				low, high := r.low, r.high
				s.Minimum, s.Maximum = &low, &high
				if r.aboveLow {
					s.Minimum, s.Above = nil, &low
				}
				if r.subHigh {
					s.Maximum, s.Below = nil, &high
				}
			}
		}
		s.Description = f.Tag.Get("doc")
		out.Properties[key] = s
		out.Keys = append(out.Keys, key)
	}
	return out
}

func valueSchema(v reflect.Value, own func(reflect.StructField) *Schema) *Schema {
	t := v.Type()
	if nested(t) {
		return sectionSchema(v, own)
	}
	s := &Schema{}
	_, custom := reflect.New(t).Interface().(yaml.Unmarshaler)
	switch {
	case custom:
		s.Type = "string" // 5m, 11GiB
	case t.Kind() == reflect.Bool:
		s.Type = "boolean"
	case v.CanInt(), v.CanUint():
		s.Type = "integer"
	case v.CanFloat():
		s.Type = "number"
	case t.Kind() == reflect.String:
		s.Type = "string"
	case t.Kind() == reflect.Slice:
		s.Type, s.Items = "array", valueSchema(reflect.New(t.Elem()).Elem(), own)
	case t.Kind() == reflect.Map:
		s.Type, s.Additional = "object", valueSchema(reflect.New(t.Elem()).Elem(), own)
	}
	if s.Items != nil && s.Items.Default != nil {
		s.Items.Default = nil
	}
	s.Default = defaultOf(v)
	return s
}

// defaultOf is a value as JSON has it, by way of YAML, which the types write themselves to; nil where there is none.
func defaultOf(v reflect.Value) json.RawMessage {
	if v.Kind() == reflect.Interface || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0 || v.Kind() == reflect.String && v.Len() == 0 {
		return nil
	}
	text, err := yaml.Marshal(v.Interface())
	if err != nil {
		return nil
	}
	var plain any
	if yaml.Unmarshal(text, &plain) != nil {
		return nil
	}
	if s, ok := plain.(string); ok {
		plain = strings.TrimSpace(s)
	}
	out, err := json.Marshal(plain)
	if err != nil {
		return nil
	}
	return out
}
