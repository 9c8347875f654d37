package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// uniqueKeys refuses a JSON value in which an object has a key twice: encoding/json keeps the last and
// loses the others without a word. b is valid JSON of the type t; a struct's keys count as equal whatever
// their case, as encoding/json reads them.
func uniqueKeys(b []byte, t reflect.Type) error {
	k := &keyScan{b: b}
	return k.value(t)
}

type keyScan struct {
	b    []byte
	i    int
	at   []string // where the value under way stands
	cost *int64   // not nil: the memory that decoding takes is summed up, and keys are not compared
}

// decodedSize is about how many bytes of memory decoding valid JSON into a t takes beside its texts: three
// bytes of JSON may be a struct of hundreds.
func decodedSize(b []byte, t reflect.Type) int64 {
	var cost int64
	_ = (&keyScan{b: b, cost: &cost}).value(t) // it compares no keys, so it has no error
	return cost
}

func (k *keyScan) pay(t reflect.Type) {
	switch {
	case k.cost == nil:
	case t == nil || t.Kind() == reflect.Interface:
		*k.cost += 64 // a value of any kind, boxed
	case t.Kind() == reflect.Pointer:
		*k.cost += 8 + int64(t.Elem().Size())
	default:
		*k.cost += int64(t.Size())
	}
}

func (k *keyScan) space() {
	for k.i < len(k.b) && strings.IndexByte(" \t\r\n", k.b[k.i]) >= 0 {
		k.i++
	}
}

// text passes over a string and gives it with its quotes.
func (k *keyScan) text() []byte {
	start := k.i
	for k.i++; k.b[k.i] != '"'; k.i++ {
		if k.b[k.i] == '\\' {
			k.i++
		}
	}
	k.i++
	return k.b[start:k.i]
}

func (k *keyScan) value(t reflect.Type) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	k.space()
	switch k.b[k.i] {
	case '{':
		return k.object(t)
	case '[':
		return k.array(t)
	case '"':
		k.text()
		return nil
	}
	for k.i < len(k.b) && strings.IndexByte(",]} \t\r\n", k.b[k.i]) < 0 {
		k.i++
	}
	return nil
}

func (k *keyScan) array(t reflect.Type) error {
	var elem reflect.Type
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		elem = t.Elem()
	}
	k.i++
	for n := 0; ; n++ {
		k.space()
		switch k.b[k.i] {
		case ']':
			k.i++
			return nil
		case ',':
			k.i++
		}
		k.space()
		if k.b[k.i] == ']' {
			continue
		}
		depth := len(k.at)
		k.pay(elem)
		if err := k.value(elem); err != nil {
			return err
		}
		k.at = k.at[:depth]
	}
}

func (k *keyScan) object(t reflect.Type) error {
	seen := keySet{fold: t != nil && t.Kind() == reflect.Struct}
	k.i++
	for {
		k.space()
		switch k.b[k.i] {
		case '}':
			k.i++
			return nil
		case ',':
			k.i++
			k.space()
		}
		raw := k.text()
		name := string(raw[1 : len(raw)-1])
		if strings.IndexByte(name, '\\') >= 0 {
			if err := json.Unmarshal(raw, &name); err != nil {
				return err
			}
		}
		if k.cost != nil {
			if t == nil || t.Kind() != reflect.Struct {
				*k.cost += 48 // of a map
				k.pay(elemOf(t, name))
			}
		} else if seen.add(name) {
			where := ""
			if len(k.at) > 0 {
				where = fmt.Sprintf(" of %.100q", strings.Join(k.at, "."))
			}
			return fmt.Errorf("key %.100q stands twice in the object%s: give it once; several points of one metric go into one list", name, where)
		}
		k.space()
		k.i++ // the colon
		k.at = append(k.at, name)
		if err := k.value(elemOf(t, name)); err != nil {
			return err
		}
		k.at = k.at[:len(k.at)-1]
	}
}

// elemOf is the type of an object's member; nil where it is not known.
func elemOf(t reflect.Type, name string) reflect.Type {
	if t == nil {
		return nil
	}
	switch t.Kind() {
	case reflect.Map:
		return t.Elem()
	case reflect.Struct:
		for i := range t.NumField() {
			tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			if strings.EqualFold(tag, name) {
				return t.Field(i).Type
			}
		}
	}
	return nil
}

// keySet holds an object's keys: few in a list, many in a map.
type keySet struct {
	fold bool
	few  []string
	many map[string]bool
}

// add says whether the key was there.
func (s *keySet) add(name string) bool {
	if s.many == nil && len(s.few) < 16 {
		for _, have := range s.few {
			if have == name || s.fold && strings.EqualFold(have, name) {
				return true
			}
		}
		s.few = append(s.few, name)
		return false
	}
	norm := func(s string) string { return s }
	if s.fold {
		norm = strings.ToLower
	}
	if s.many == nil {
		s.many = map[string]bool{}
		for _, have := range s.few {
			s.many[norm(have)] = true
		}
	}
	if s.many[norm(name)] {
		return true
	}
	s.many[norm(name)] = true
	return false
}
