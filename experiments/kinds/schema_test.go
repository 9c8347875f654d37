package kinds

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"triality/experiments/config"
)

// Every key that a body's YAML may have is in the schema, and no other, and its default is the body's.
func TestTheSchemasHaveTheKeysOfTheBodies(t *testing.T) {
	schemas := Schemas()
	if _, err := json.Marshal(schemas); err != nil {
		t.Fatal(err)
	}
	for i, k := range All(nil) {
		s := schemas[i]
		if s.Name != k.Name || len(s.Gives) < len(k.Gives) {
			t.Errorf("%s: %+v", k.Name, s)
		}
		var walk func(v reflect.Type, s *config.Schema, where string)
		walk = func(v reflect.Type, s *config.Schema, where string) {
			var keys []string
			for i := range v.NumField() {
				f := v.Field(i)
				if key := f.Tag.Get("yaml"); key != "-" && f.IsExported() {
					keys = append(keys, key)
					of := s.Properties[key]
					if of == nil || of.Description == "" {
						t.Errorf("%s.%s is not in the schema, or not described", where, key)
						continue
					}
					if of.Keys != nil {
						walk(f.Type, of, where+"."+key)
					}
				}
			}
			if !slices.Equal(keys, s.Keys) {
				t.Errorf("%s has %v, the schema %v", where, keys, s.Keys)
			}
		}
		walk(reflect.TypeOf(k.Body()).Elem(), s.Body, k.Name)
	}
	text, err := json.Marshal(schemas[slices.IndexFunc(schemas, func(s KindSchema) bool { return s.Name == "finetune" })])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"lora_r":{"type":"integer"`, `"maximum":65536`, `"enum":["cosine","linear","constant"]`, `"x-takes":["data set"]`,
		`"checkpoint_interval":{"type":"string","description":"time between checkpoints, such as 5m","default":"5m0s"}`,
		`"lora_rank_pattern":{"type":"object"`, `"lora_target_modules":{"type":"array"`, `{"name":"metrics","type":"series"}`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}
