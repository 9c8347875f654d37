package config

import (
	"fmt"
	"reflect"
)

// What a key's path tag says that it names.
const (
	InputPath  = "input"  // a file, a folder or a glob pattern to read
	OutputPath = "output" // a folder to write to
	ModelPath  = "model"  // a model's folder, or its name on the Hub
	ModulePath = "module" // a .wasm file, or the SHA-256 of an uploaded one
	MadePath   = "made"   // the start of the name of a folder that is made
)

// Path is a key that names files.
type Path struct{ Key, Kind, Path string }

// Paths lists the keys of a configuration that name files, with their values: each has a path tag.
func Paths(p *Pipeline) []Path {
	var out []Path
	pathsOf(reflect.ValueOf(p).Elem(), "", &out)
	return out
}

func pathsOf(v reflect.Value, key string, out *[]Path) {
	switch {
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			pathsOf(v.Index(i), fmt.Sprintf("%s[%d]", key, i), out)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			full := join(key, f.Tag.Get("yaml"))
			if kind, ok := f.Tag.Lookup("path"); ok {
				*out = append(*out, Path{full, kind, v.Field(i).String()})
				continue
			}
			pathsOf(v.Field(i), full, out)
		}
	}
}
