package graph

import (
	"fmt"
	"reflect"
	"slices"
)

// Params gives a graph's bodies as a run's parameters: "STEP.key" and the value as text, of the keys that are not as their
// kind has them by default.
func (g Graph) Params(kinds []Kind) map[string]string {
	out := map[string]string{}
	for _, s := range g.Steps {
		k := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == s.Kind })
		if k < 0 || s.Body == nil {
			continue
		}
		differing(reflect.ValueOf(s.Body).Elem(), reflect.ValueOf(kinds[k].Body()).Elem(), s.Name, out)
	}
	return out
}

func differing(v, usual reflect.Value, prefix string, out map[string]string) {
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		tag := t.Tag.Get("yaml")
		if tag == "-" || !t.IsExported() {
			continue
		}
		key := prefix + "." + tag
		switch in := f.Interface().(type) {
		case Prose:
			if in.Text != "" {
				out[key] = in.Text
			}
			continue
		case Input:
			if in.Text != "" {
				out[key] = in.Text
			}
			continue
		case []Input:
			for j, one := range in {
				out[fmt.Sprintf("%s[%d]", key, j)] = one.Text
			}
			continue
		}
		one, isText := f.Interface().(fmt.Stringer) // a struct that is one value
		switch {
		case f.Kind() == reflect.Struct && isText:
			if text := one.String(); text != usual.Field(i).Interface().(fmt.Stringer).String() {
				out[key] = text
			}
		case f.Kind() == reflect.Struct:
			differing(f, usual.Field(i), key, out)
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
			for j := range f.Len() {
				differing(f.Index(j), reflect.Zero(f.Type().Elem()), fmt.Sprintf("%s[%d]", key, j), out)
			}
		case !reflect.DeepEqual(f.Interface(), usual.Field(i).Interface()):
			out[key] = fmt.Sprint(f.Interface())
		}
	}
}
