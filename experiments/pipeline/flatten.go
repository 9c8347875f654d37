package pipeline

import (
	"fmt"
	"reflect"

	"triality/experiments/config"
)

// flatten gives a configuration as a run's parameters: dotted keys and their values as text; what is
// empty, durations of 0 included, is left out.
func flatten(cfg config.Pipeline) map[string]string {
	out := map[string]string{}
	var walk func(v reflect.Value, prefix string)
	walk = func(v reflect.Value, prefix string) {
		for i := range v.NumField() {
			f := v.Field(i)
			key := v.Type().Field(i).Tag.Get("yaml")
			if prefix != "" {
				key = prefix + "." + key
			}
			switch {
			case f.Kind() == reflect.Struct:
				walk(f, key)
			case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct:
				for j := range f.Len() {
					walk(f.Index(j), fmt.Sprintf("%s[%d]", key, j))
				}
			case f.Type() == reflect.TypeFor[config.Duration]() && f.IsZero(),
				f.Kind() == reflect.Slice && f.Len() == 0, f.Kind() == reflect.Map && f.Len() == 0, f.Kind() == reflect.String && f.Len() == 0:
			default:
				out[key] = text(f)
			}
		}
	}
	walk(reflect.ValueOf(cfg), "")
	return out
}

func text(v reflect.Value) string {
	if d, ok := v.Interface().(config.Duration); ok {
		return d.String()
	}
	return fmt.Sprint(v.Interface())
}
