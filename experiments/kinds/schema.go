package kinds

import (
	"reflect"
	"strings"

	"triality/experiments/config"
	"triality/experiments/graph"
	"triality/experiments/kinds/sweep"
)

// KindSchema is what a form or an editor needs to know of a kind.
type KindSchema struct {
	Name  string         `json:"name"`
	Cost  string         `json:"cost"` // "cheap", "costly" or "free"
	Gives []Given        `json:"gives"`
	Body  *config.Schema `json:"schema"` // JSON Schema of its body
}

// Given is an output of a kind.
type Given struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Schemas are the kinds', made of their bodies' tags and defaults as the reference page is.
func Schemas() []KindSchema {
	var out []KindSchema
	for _, k := range All(nil) {
		s := KindSchema{Name: k.Name, Cost: k.Cost.String(), Body: config.SchemaOf(k.Body(), inputSchema)}
		for _, o := range k.Gives {
			s.Gives = append(s.Gives, Given{o.Name, string(o.Type)})
		}
		if k.Show == nil {
			s.Gives = append(s.Gives, Given{"metrics", string(graph.Series)})
		}
		out = append(out, s)
	}
	return out
}

// inputSchema is that of a field that takes what other steps give; nil: it is none.
func inputSchema(f reflect.StructField) *config.Schema {
	takes := strings.Split(f.Tag.Get("takes"), ",")
	switch f.Type {
	case reflect.TypeFor[graph.Input]():
		return &config.Schema{Type: "string", Takes: takes}
	case reflect.TypeFor[[]graph.Input]():
		return &config.Schema{Type: "array", Items: &config.Schema{Type: "string"}, Takes: takes}
	case reflect.TypeFor[graph.SeriesRef]():
		return &config.Schema{Type: "string"}
	case reflect.TypeFor[sweep.Keys]():
		return &config.Schema{Type: "object", Additional: true}
	case reflect.TypeFor[graph.Prose]():
		return &config.Schema{Type: "string", Text: true}
	}
	return nil
}
