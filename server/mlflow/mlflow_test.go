package mlflow

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

type world struct {
	t   *testing.T
	api *API
	e   *echo.Echo
}

func newWorld(t *testing.T) *world {
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{t: t, api: &API{Store: s, Version: "test", Logger: slog.New(slog.DiscardHandler), MaxArtifactBytes: 1000}, e: echo.New()}
	w.api.Register(w.e)
	return w
}

// send gives the answer's status and text.
func (w *world) send(method, path, body string) (int, string) {
	w.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" && method != http.MethodPut {
		req.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	w.e.ServeHTTP(rec, req)
	b, err := io.ReadAll(rec.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Code, strings.TrimSpace(string(b))
}

// post sends a body to an endpoint and reads its answer.
func (w *world) post(path, body string, out any) {
	w.t.Helper()
	status, text := w.send(http.MethodPost, Prefixes[0]+path, body)
	w.read(path, status, text, out)
}

func (w *world) get(path string, out any) {
	w.t.Helper()
	status, text := w.send(http.MethodGet, Prefixes[1]+path, "")
	w.read(path, status, text, out)
}

func (w *world) read(path string, status int, text string, out any) {
	w.t.Helper()
	if status != http.StatusOK {
		w.t.Fatalf("%s: %d %s", path, status, text)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			w.t.Fatalf("%s: %v in %s", path, err, text)
		}
	}
}

// refused wants an error of a code, with words in its message.
func (w *world) refused(method, path, body string, status int, code string, words ...string) {
	w.t.Helper()
	got, text := w.send(method, path, body)
	var f failure
	if err := json.Unmarshal([]byte(text), &f); err != nil || got != status || f.Code != code {
		w.t.Errorf("%s %s %s: %d %s, want %d %s", method, path, body, got, text, status, code)
	}
	for _, word := range words {
		if !strings.Contains(f.Message, word) {
			w.t.Errorf("%s %s: %q does not say %q", method, path, f.Message, word)
		}
	}
}

func (w *world) experiment(name string) string {
	w.t.Helper()
	var made struct {
		ID string `json:"experiment_id"`
	}
	w.post("/experiments/create", fmt.Sprintf(`{"name":%q,"artifact_location":"file:///etc","tags":[{"key":"team","value":%q}]}`, name, name+" team"), &made)
	return made.ID
}

func (w *world) run(body string) run {
	w.t.Helper()
	var made oneRun
	w.post("/runs/create", body, &made)
	return made.Run
}

func TestARunThatAClientLogsIsARunOfTheTracker(t *testing.T) {
	w := newWorld(t)
	exp := w.experiment("digits")
	r := w.run(fmt.Sprintf(`{"experiment_id":%q,"user_id":"ada","start_time":"1700000000000","run_name":"first","tags":[{"key":"mlflow.source.name","value":"train.py"},{"key":"mlflow.note.content","value":"**why**"}],"unknown":{"of":"a later version"}}`, exp))
	if r.Info.UUID != r.Info.ID || r.Info.Status != "RUNNING" || r.Info.Start != 1700000000000 || r.Info.User != "ada" || r.Info.Stage != "active" {
		t.Errorf("made: %+v", r.Info)
	}
	if want := "mlflow-artifacts:/" + exp + "/" + r.Info.ID + "/artifacts"; r.Info.Location != want {
		t.Errorf("artifacts at %s, want %s", r.Info.Location, want)
	}
	ref := fmt.Sprintf(`"run_id":%q,"run_uuid":%q`, r.Info.ID, r.Info.ID)
	w.post("/runs/log-parameter", `{`+ref+`,"key":"lr","value":0.1}`, nil)
	w.post("/runs/log-metric", `{`+ref+`,"key":"loss","value":"NaN","timestamp":1700000000100,"step":"0"}`, nil)
	w.post("/runs/log-batch", `{`+ref+`,"metrics":[{"key":"loss","value":0.5,"timestamp":1700000000200,"step":1},{"key":"acc","value":1,"timestamp":1700000000200}],"params":[{"key":"lr","value":"0.1"},{"key":"opt","value":"adamw"}],"tags":[{"key":"a","value":"1"}]}`, nil)
	child := w.run(fmt.Sprintf(`{"experiment_id":%q,"tags":[{"key":"mlflow.parentRunId","value":%q},{"key":"mlflow.runName","value":"part"}]}`, exp, r.Info.ID))
	w.post("/runs/update", `{`+ref+`,"status":"FINISHED","end_time":1700000009000}`, nil)

	got, err := w.api.Store.Run(t.Context(), r.Info.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Name != "first" || got.Notes != "**why**" || got.Status != experiments.Finished || got.EndedAt.UnixMilli() != 1700000009000 || got.Params["lr"] != "0.1" || got.Params["opt"] != "adamw" || got.Tags["a"] != "1" || got.Summary["loss"] != 0.5 {
		t.Errorf("stored: %+v", got)
	}
	if part, err := w.api.Store.Run(t.Context(), child.Info.ID); err != nil || part.ParentID != got.ID || part.Name != "part" {
		t.Errorf("the part: %+v, %v", part, err)
	}
	var again oneRun
	w.get("/runs/get?run_id="+got.ID, &again)
	tag := func(key string) string {
		i := slices.IndexFunc(again.Run.Data.Tags, func(p pair) bool { return string(p.Key) == key })
		if i < 0 {
			return ""
		}
		return string(again.Run.Data.Tags[i].Value)
	}
	if tag(tagName) != "first" || tag(tagNote) != "**why**" || tag(tagUser) != "ada" || again.Run.Info.Status != "FINISHED" || len(again.Run.Data.Metrics) != 2 || len(again.Run.Data.Params) != 2 {
		t.Errorf("read again: %+v", again.Run)
	}
	var h history
	w.get("/metrics/get-history?run_id="+got.ID+"&metric_key=loss&max_results=1", &h)
	if len(h.Metrics) != 1 || fmt.Sprint(float64(*h.Metrics[0].Value)) != "NaN" || h.Next != "1" {
		t.Errorf("history: %+v", h)
	}
	w.get("/metrics/get-history?run_uuid="+got.ID+"&metric_key=loss&page_token=1", &h)
	if len(h.Metrics) != 1 || *h.Metrics[0].Value != 0.5 || h.Metrics[0].RunID != got.ID {
		t.Errorf("the rest of it: %+v", h)
	}
	w.get("/metrics/get-history?run_id="+got.ID+"&metric_key=never", &h)
	if len(h.Metrics) != 0 {
		t.Errorf("of a metric that was not logged: %+v", h)
	}
}

func TestABatchWithAMistakeStoresNothing(t *testing.T) {
	w := newWorld(t)
	id := w.run(`{}`).Info.ID // of the experiment 0
	w.post("/runs/log-parameter", fmt.Sprintf(`{"run_id":%q,"key":"lr","value":"1"}`, id), nil)
	many := strings.Repeat(`{"key":"k","value":"v"},`, 100) + `{"key":"k","value":"v"}`
	for body, words := range map[string]string{
		`"metrics":[{"key":"a","value":1},{"key":"","value":1}],"tags":[{"key":"t","value":"v"}]`:            "metrics[1].key",
		`"metrics":[{"key":"a","value":1},{"key":"b\u0001","value":1}],"tags":[{"key":"t","value":"v"}]`:     "control character",
		`"metrics":[{"key":"a","value":1},{"key":"b"}],"tags":[{"key":"t","value":"v"}]`:                     "metrics[1].value",
		`"metrics":[{"key":"a","value":1}],"params":[{"key":"lr","value":"2"}]`:                              "Changing param values is not allowed",
		`"metrics":[{"key":"a","value":1}],"params":[{"key":"","value":"2"}]`:                                "'key' of a param",
		`"metrics":[{"key":"a","value":1}],"tags":[{"key":"t","value":"` + strings.Repeat("x", 5001) + `"}]`: "length limit of 5000",
		`"params":[` + many + `]`: "at most 100 params. Got 101",
	} {
		w.refused("POST", Prefixes[0]+"/runs/log-batch", fmt.Sprintf(`{"run_id":%q,%s}`, id, body), 400, codeInvalid, words)
	}
	r, err := w.api.Store.Run(t.Context(), id)
	if err != nil || len(r.Summary) != 0 || len(r.Tags) != 0 || len(r.Params) != 1 {
		t.Errorf("stored: %+v, %v", r, err)
	}
}

func TestARunHasABoundedNumberOfParametersAndTags(t *testing.T) {
	w := newWorld(t)
	id := w.run(`{}`).Info.ID
	_, err := w.api.Store.UpdateRun(t.Context(), id, func(r *experiments.Run) error {
		r.Params, r.Tags = map[string]string{}, map[string]string{}
		for i := range maxPairs {
			r.Params[fmt.Sprint(i)], r.Tags[fmt.Sprint(i)] = "a", "a"
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.refused("POST", Prefixes[0]+"/runs/log-parameter", fmt.Sprintf(`{"run_id":%q,"key":"more","value":"1"}`, id), 400, codeInvalid, "1000 params already")
	w.refused("POST", Prefixes[0]+"/runs/set-tag", fmt.Sprintf(`{"run_id":%q,"key":"more","value":"1"}`, id), 400, codeInvalid, "1000 tags already")
	w.post("/runs/set-tag", fmt.Sprintf(`{"run_id":%q,"key":"7","value":"changed"}`, id), nil)
}

func TestWhatIsDeletedIsArchivedAndComesBack(t *testing.T) {
	w := newWorld(t)
	exp := w.experiment("one")
	id := w.run(fmt.Sprintf(`{"experiment_id":%q}`, exp)).Info.ID
	w.post("/runs/delete", fmt.Sprintf(`{"run_id":%q}`, id), nil)
	w.refused("POST", Prefixes[0]+"/runs/set-tag", fmt.Sprintf(`{"run_id":%q,"key":"a","value":"b"}`, id), 400, codeInvalid, "must be in the 'active' state")
	w.refused("POST", Prefixes[0]+"/runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"a","value":1}`, id), 400, codeInvalid, "must be in the 'active' state")
	count := func(view string) int {
		var found foundRuns
		w.post("/runs/search", fmt.Sprintf(`{"experiment_ids":[%q],"run_view_type":%q}`, exp, view), &found)
		return len(found.Runs)
	}
	if a, d, all := count("ACTIVE_ONLY"), count("DELETED_ONLY"), count("ALL"); a != 0 || d != 1 || all != 1 {
		t.Errorf("active %d, deleted %d, all %d", a, d, all)
	}
	w.post("/runs/restore", fmt.Sprintf(`{"run_id":%q}`, id), nil)
	if n := count(""); n != 1 {
		t.Errorf("after it was restored: %d", n)
	}
	w.post("/experiments/delete", fmt.Sprintf(`{"experiment_id":%q}`, exp), nil)
	w.refused("POST", Prefixes[0]+"/runs/create", fmt.Sprintf(`{"experiment_id":%q}`, exp), 400, codeInvalid, "must be in the 'active' state")
	w.refused("POST", Prefixes[0]+"/experiments/update", fmt.Sprintf(`{"experiment_id":%q,"new_name":"two"}`, exp), 400, codeInvalid)
	names := func(view string) (out []string) {
		var found foundExperiments
		w.get("/experiments/search?view_type="+view, &found)
		for _, e := range found.Experiments {
			out = append(out, e.Name)
		}
		return out
	}
	if a, d := names("ACTIVE_ONLY"), names("DELETED_ONLY"); len(a) != 0 || !slices.Equal(d, []string{"one"}) {
		t.Errorf("active %v, deleted %v", a, d)
	}
	w.post("/experiments/restore", fmt.Sprintf(`{"experiment_id":%q}`, exp), nil)
	w.post("/experiments/update", fmt.Sprintf(`{"experiment_id":%q,"new_name":"two"}`, exp), nil)
	if a := names("ALL"); !slices.Equal(a, []string{"two"}) {
		t.Errorf("restored and renamed: %v", a)
	}
}

func TestRunsAreFoundByMLflowsFilters(t *testing.T) {
	w := newWorld(t)
	exp := w.experiment("search")
	for i := range 5 {
		id := w.run(fmt.Sprintf(`{"experiment_id":%q,"start_time":%d,"run_name":"run %d"}`, exp, 1700000000000+i, i)).Info.ID
		w.post("/runs/log-batch", fmt.Sprintf(`{"run_id":%q,"metrics":[{"key":"eval/f1","value":%f}],"params":[{"key":"lr","value":"1e-%d"}],"tags":[{"key":"a b","value":"x%d"}]}`, id, 0.1*float64(i), i, i%2), nil)
		if i == 4 {
			w.post("/runs/update", fmt.Sprintf(`{"run_id":%q,"status":"KILLED"}`, id), nil)
		}
	}
	found := func(body string) (names []string, next string) {
		var f foundRuns
		w.post("/runs/search", fmt.Sprintf(`{"experiment_ids":[%q],%s}`, exp, body), &f)
		for _, r := range f.Runs {
			names = append(names, r.Info.Name)
		}
		return names, f.Next
	}
	for filter, want := range map[string][]string{
		"":                         {"run 4", "run 3", "run 2", "run 1", "run 0"},
		"metrics.`eval/f1` > 0.15": {"run 4", "run 3", "run 2"},
		`metric."eval/f1" <= 0.1`:  {"run 1", "run 0"},
		"params.lr = '1e-2'":       {"run 2"},
		"parameter.lr != '1e-2'":   {"run 4", "run 3", "run 1", "run 0"},
		"tags.`a b` LIKE 'x%' and tags.\"a b\" = 'x1'": {"run 3", "run 1"},
		"attributes.status = 'KILLED'":                 {"run 4"},
		"attribute.start_time > 1700000000002":         {"run 4", "run 3"},
		"attributes.`Run name` ILIKE 'RUN 0'":          {"run 0"},
		"run_name IN ('run 1', 'run 2')":               {"run 2", "run 1"},
		"metrics.never > 1":                            nil,
	} {
		b, err := json.Marshal(filter)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := found(`"filter":` + string(b)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
	got, next := found("\"order_by\":[\"metrics.`eval/f1` ASC\"],\"max_results\":3")
	more, last := found(fmt.Sprintf("\"order_by\":[\"metrics.`eval/f1` ASC\"],\"max_results\":3,\"page_token\":%q", next))
	if all := slices.Concat(got, more); !slices.Equal(all, []string{"run 0", "run 1", "run 2", "run 3", "run 4"}) || last != "" {
		t.Errorf("by pages: %v, then %q", all, last)
	}
	w.refused("POST", Prefixes[0]+"/runs/search", fmt.Sprintf(`{"experiment_ids":[%q],"filter":"metrics.a >"}`, exp), 400, codeInvalid, "filter")
	w.refused("POST", Prefixes[0]+"/runs/search", `{"max_results":50001}`, 400, codeInvalid, "max_results")
}

func TestExperimentsAreFoundByMLflowsFilters(t *testing.T) {
	w := newWorld(t)
	ids := map[string]string{}
	for _, name := range []string{"alpha", "beta", "gamma"} {
		ids[name] = w.experiment(name)
	}
	for filter, want := range map[string][]string{
		"":                           {"gamma", "beta", "alpha"},
		"name = 'beta'":              {"beta"},
		"attribute.name LIKE '%eta'": {"beta"},
		"name ILIKE 'A%'":            {"alpha"},
		"name != 'beta'":             {"gamma", "alpha"},
		"tags.team = 'alpha team'":   {"alpha"},
		"tags.`team` IN ('alpha team', 'gamma team') AND name > 'b'": {"gamma"},
		"creation_time > 0":       {"gamma", "beta", "alpha"},
		"last_update_time <= 100": nil,
	} {
		b, err := json.Marshal(filter)
		if err != nil {
			t.Fatal(err)
		}
		var f foundExperiments
		w.post("/experiments/search", `{"filter":`+string(b)+`}`, &f)
		var got []string
		for _, e := range f.Experiments {
			got = append(got, e.Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", filter, got, want)
		}
	}
	var f foundExperiments
	w.post("/experiments/search", `{"order_by":["name ASC"],"max_results":2}`, &f)
	if len(f.Experiments) != 2 || f.Experiments[0].Name != "alpha" || f.Next != ids["beta"] {
		t.Errorf("the first page: %+v", f)
	}
	w.post("/experiments/search", fmt.Sprintf(`{"order_by":["name ASC"],"max_results":2,"page_token":%q}`, f.Next), &f)
	if len(f.Experiments) != 1 || f.Experiments[0].Name != "gamma" {
		t.Errorf("the second: %+v", f)
	}
	var one oneExperiment
	w.get("/experiments/get-by-name?experiment_name=beta", &one)
	if one.Experiment.ID != ids["beta"] || one.Experiment.Location != "mlflow-artifacts:/"+ids["beta"] {
		t.Errorf("by name: %+v", one)
	}
	w.get("/experiments/get?experiment_id=0", &one)
	if one.Experiment.Name != DefaultExperiment {
		t.Errorf("0 is %+v", one)
	}
	w.refused("GET", Prefixes[0]+"/experiments/get-by-name?experiment_name=nobody", "", 404, codeNotFound, "Could not find experiment with name 'nobody'")
	w.refused("POST", Prefixes[0]+"/experiments/create", `{"name":"beta"}`, 400, codeExists, "exists already")
	w.refused("POST", Prefixes[0]+"/experiments/search", `{"filter":"metrics.a > 1"}`, 400, codeInvalid, "Invalid attribute key")
	w.refused("POST", Prefixes[0]+"/experiments/search", `{"filter":"creation_time > yesterday"}`, 400, codeInvalid, "whole number")

	w.post("/experiments/set-experiment-tag", fmt.Sprintf(`{"experiment_id":%q,"key":"mlflow.note.content","value":"what for"}`, ids["beta"]), nil)
	w.post("/experiments/delete-experiment-tag", fmt.Sprintf(`{"experiment_id":%q,"key":"team"}`, ids["beta"]), nil)
	e, err := w.api.Store.Experiment(t.Context(), ids["beta"])
	if err != nil || e.Description != "what for" || len(e.Tags) != 0 {
		t.Errorf("%+v, %v", e, err)
	}
	w.refused("POST", Prefixes[0]+"/experiments/delete-experiment-tag", fmt.Sprintf(`{"experiment_id":%q,"key":"team"}`, ids["beta"]), 404, codeNotFound, "No tag with name: team")
}

func TestRequestsThatAreWrongAreRefusedInMLflowsForm(t *testing.T) {
	w := newWorld(t)
	p := Prefixes[0]
	id := w.run(`{}`).Info.ID
	w.refused("GET", p+"/runs/get", "", 400, codeInvalid, "Missing value for required parameter 'run_id'")
	w.refused("GET", p+"/runs/get?run_id=nope", "", 404, codeNotFound, "Run with id=nope not found")
	w.refused("POST", p+"/runs/log-metric", `{"run_id":"nope","key":"a","value":1}`, 404, codeNotFound)
	w.refused("POST", p+"/runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"a","value":"many"}`, id), 400, codeInvalid, "want a number")
	w.refused("POST", p+"/runs/log-metric", fmt.Sprintf(`{"run_id":%q,"key":"a","value":1,"step":1.5}`, id), 400, codeInvalid, "want a whole number")
	w.refused("POST", p+"/runs/set-tag", fmt.Sprintf(`{"run_id":%q,"key":{},"value":"x"}`, id), 400, codeInvalid)
	w.refused("POST", p+"/runs/update", fmt.Sprintf(`{"run_id":%q,"status":"DONE"}`, id), 400, codeInvalid, "want RUNNING")
	w.refused("POST", p+"/runs/delete-tag", fmt.Sprintf(`{"run_id":%q,"key":"none"}`, id), 404, codeNotFound, "No tag with name: none")
	w.refused("POST", p+"/runs/create", `{"experiment_id":"nope"}`, 404, codeNotFound)
	w.refused("POST", p+"/runs/create", `{"experiment_id":`, 400, codeInvalid)
	w.refused("POST", p+"/experiments/create", `{}`, 400, codeInvalid, "'name'")
	w.refused("POST", p+"/no/such", `{}`, 404, codeNoEndpoint)
	w.refused("POST", p+"/runs/create", `{"user_id":"`+strings.Repeat("x", maxBody)+`"}`, 413, codeTooLarge)
	req := httptest.NewRequest("POST", p+"/runs/create", strings.NewReader(`{}`))
	req.Header.Set("Content-Type", "text/plain")
	rec := httptest.NewRecorder()
	w.e.ServeHTTP(rec, req)
	if rec.Code != http.StatusUnsupportedMediaType {
		t.Errorf("text/plain, which pages of other sites may send: %d", rec.Code)
	}
	r := experiments.Run{ID: "pipeline", ExperimentID: w.experiment("p"), Name: "n", Status: experiments.Finished, Config: "name: x"}
	if err := w.api.Store.SaveRun(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.refused("POST", p+"/runs/update", `{"run_id":"pipeline","status":"RUNNING"}`, 400, codeState, "the pipeline's")
}

// TestTheTableOfEndpointsIsTrue walks every endpoint: those that are built answer with something else than that they are
// not, and docs/mlflow.md has a line of each.
func TestTheTableOfEndpointsIsTrue(t *testing.T) {
	w := newWorld(t)
	var table strings.Builder
	for _, e := range w.api.Endpoints() {
		state := "yes"
		if !e.Built {
			state = "no"
		}
		fmt.Fprintf(&table, "| %s | `%s` | %s | %s |\n", strings.Join(e.Methods, " "), strings.TrimPrefix(e.Path, "/"+"/"), state, e.Note)
		for _, at := range e.Paths() {
			for _, m := range e.Methods {
				body := ""
				if m != http.MethodGet {
					body = "{}"
				}
				status, text := w.send(m, strings.Replace(at, "*", "x/y", 1), body)
				if unbuilt := status == http.StatusNotImplemented; unbuilt == e.Built || strings.Contains(text, codeNoEndpoint) || status == http.StatusMethodNotAllowed {
					t.Errorf("%s %s answers %d %s", m, at, status, text)
				}
			}
		}
	}
	doc, err := os.ReadFile("../../docs/mlflow.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), table.String()) {
		t.Errorf("docs/mlflow.md does not have this table:\n%s", table.String())
	}
}
