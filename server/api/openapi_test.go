package api

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"triality/server/mlflow"
)

func TestTheDocumentDescribesExactlyTheRoutes(t *testing.T) {
	w := newWorld(t, nil)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Parameters  []struct{ Name, In string }
			Responses   map[string]any
		}
		Components struct{ Schemas map[string]any }
	}
	decode(t, w.do("GET", "/api/v1/openapi.json", ""), &doc)
	described, ids := map[string]bool{}, map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			described[strings.ToUpper(method)+" "+path] = true
			if op.Summary == "" || op.OperationID == "" || ids[op.OperationID] {
				t.Errorf("%s %s: summary %q, operation id %q, which must be its own", method, path, op.Summary, op.OperationID)
			}
			ids[op.OperationID] = true
			inPath := 0
			for _, p := range op.Parameters {
				if p.In == "path" {
					inPath++
				}
			}
			if inPath != strings.Count(path, "{") || len(op.Responses) < 2 {
				t.Errorf("%s %s: %d path parameters, %d answers", method, path, inPath, len(op.Responses))
			}
		}
	}
	// docs/mlflow.md lists those of MLflow's API, and server/mlflow holds it to them.
	others := map[string]bool{}
	for _, e := range (&mlflow.API{}).Endpoints() {
		for _, path := range e.Paths() {
			others[path] = true
		}
	}
	for _, prefix := range mlflow.Prefixes {
		others[prefix+"/*"] = true
	}
	served := 0
	for _, r := range w.echo.Routes() {
		if r.Path == "/*" || others[r.Path] { // the pages
			continue
		}
		served++
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(strings.Replace(r.Path, "*", ":path", 1), "{$1}")
		if r.Method == "HEAD" && described["GET "+path] { // goes without saying
			served--
			continue
		}
		if !described[r.Method+" "+path] {
			t.Errorf("%s %s is served and not described", r.Method, path)
		}
	}
	if served != len(described) {
		t.Errorf("%d routes are served, %d described", served, len(described))
	}
	b, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range regexp.MustCompile(`#/components/schemas/(\w+)`).FindAllStringSubmatch(string(w.openapi), -1) {
		if _, ok := doc.Components.Schemas[ref[1]]; !ok {
			t.Errorf("schema %s is referred to and not there", ref[1])
		}
	}
	if len(b) == 0 || doc.OpenAPI != "3.1.0" {
		t.Errorf("version %q", doc.OpenAPI)
	}
}

// TestAnswersHaveTheStatusesTheDocumentNames holds the scenarios to the document.
func TestAnswersHaveTheStatusesTheDocumentNames(t *testing.T) {
	w := newWorld(t, nil)
	for name, sc := range scenarios {
		path, _, _ := strings.Cut(sc.path, "?")
		for _, r := range w.routes() {
			if r.method != sc.method || !matches(r.path, path) || sc.status == 403 {
				continue
			}
			ok := sc.status == r.status
			for _, code := range r.errors {
				ok = ok || statusOf[code] == sc.status
			}
			if !ok {
				t.Errorf("%s: %s %s answers %d, which the document does not name", name, r.method, r.path, sc.status)
			}
			break
		}
	}
}
