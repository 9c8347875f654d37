package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"triality/experiments"
	"triality/server/store"
)

type object = map[string]any

var pathParam = regexp.MustCompile(`:(\w+)`)

// document writes the OpenAPI 3.1 document of the routes. Schemas come from the Go types.
func document(routes []route, version string) ([]byte, error) {
	sch := schemas{defs: object{}}
	failure := sch.of(reflect.TypeFor[Failure]())
	paths := object{}
	for _, r := range routes {
		p := pathParam.ReplaceAllString(strings.Replace(r.path, "*", ":path", 1), "{$1}")
		item, _ := paths[p].(object)
		if item == nil {
			item = object{}
			paths[p] = item
		}
		item[strings.ToLower(r.method)] = sch.operation(r, p, failure)
	}
	if version == "" {
		version = "unknown"
	}
	return json.MarshalIndent(object{
		"openapi": "3.1.0",
		"info": object{"title": "Triality", "version": version,
			"description": "Experiment tracker, training engine and evaluation. Numbers that are not finite are null. Times are RFC 3339."},
		"paths":      paths,
		"components": object{"schemas": sch.defs},
	}, "", " ")
}

func (s schemas) operation(r route, p string, failure object) object {
	params := []any{}
	for _, m := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(p, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	for _, q := range r.query {
		params = append(params, object{"name": q.name, "in": "query", "description": q.about, "schema": object{"type": "string"}})
	}
	if r.once {
		params = append(params, object{"name": onceHeader, "in": "header", "schema": object{"type": "string", "maxLength": store.MaxRequestKey},
			"description": "a key of the client's choice, a UUID say: a request that is sent again with it is done once. It is kept for a day; the answer to a repetition has Idempotency-Replayed: true"})
	}
	ok := object{"description": http.StatusText(r.status)}
	if r.answer != nil {
		ok["content"] = object{"application/json": object{"schema": s.of(reflect.TypeOf(r.answer))}}
	} else if r.answerType != "" {
		ok["content"] = object{r.answerType: object{}}
	}
	answers := object{fmt.Sprint(r.status): ok}
	for _, code := range append([]experiments.Code{codeForbidden, experiments.CodeInternal}, r.errors...) {
		status := statusOf[code]
		answers[fmt.Sprint(status)] = object{"description": string(code), "content": object{"application/json": object{"schema": failure}}}
	}
	op := object{"summary": r.summary, "operationId": operationID(r), "parameters": params, "responses": answers}
	if r.body != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": s.of(reflect.TypeOf(r.body))}}}
	} else if r.bodyType != "" {
		op["requestBody"] = object{"required": true, "content": object{r.bodyType: object{}}}
	}
	return op
}

var notWord = regexp.MustCompile(`\W+`)

func operationID(r route) string {
	if r.id != "" {
		return r.id
	}
	p := strings.TrimPrefix(r.path, "/api/v1")
	return strings.ToLower(r.method) + strings.TrimRight(notWord.ReplaceAllString(strings.ReplaceAll(p, "*", "path"), "_"), "_")
}

// schemas collects the schemas of named structs.
type schemas struct{ defs object }

func (s schemas) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{}
	case reflect.TypeFor[value]():
		return object{"type": []string{"number", "string", "null"}}
	}
	if t.Kind() != reflect.Pointer && t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()) {
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float32, reflect.Float64:
		return object{"type": []string{"number", "null"}}
	case reflect.Slice, reflect.Array:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		return s.structure(t)
	case reflect.Interface:
		return object{}
	}
	return object{"type": "integer"}
}

func (s schemas) structure(t reflect.Type) object {
	name := notWord.ReplaceAllString(strings.ReplaceAll(t.Name(), "triality/", ""), "_")
	ref := object{"$ref": "#/components/schemas/" + name}
	if _, done := s.defs[name]; done && name != "" {
		return ref
	}
	props := object{}
	def := object{"type": "object", "properties": props}
	if name != "" {
		s.defs[name] = def // before its fields, which may refer to it
	}
	s.fields(t, props)
	if name == "" {
		return def
	}
	return ref
}

func (s schemas) fields(t reflect.Type, props object) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || tag == "-":
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			s.fields(f.Type, props)
		case tag == "":
			props[f.Name] = s.of(f.Type)
		default:
			props[tag] = s.of(f.Type)
		}
	}
}
