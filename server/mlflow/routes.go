package mlflow

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// Endpoint is one of MLflow's REST API.
type Endpoint struct {
	Methods []string
	Path    string // below /api/2.0/mlflow and /ajax-api/2.0/mlflow, or from the root where it begins with two slashes
	Note    string // what differs from MLflow's; for what is not built, why
	Built   bool
	handler echo.HandlerFunc
}

var (
	get    = []string{http.MethodGet}
	post   = []string{http.MethodPost}
	either = []string{http.MethodGet, http.MethodPost}
)

// Prefixes are the paths below which the endpoints stand: MLflow's clients use the first, its pages the second.
var Prefixes = []string{"/api/2.0/mlflow", "/ajax-api/2.0/mlflow"}

// Endpoints are all of MLflow's tracking server, with those that are not built.
func (a *API) Endpoints() []Endpoint {
	registry := "there is no registry of models yet: a model is an artifact of the run that made it"
	logged := "there are no logged models: a model is an artifact of its run"
	built := func(methods []string, path, note string, h echo.HandlerFunc) Endpoint {
		return Endpoint{methods, path, note, true, h}
	}
	all := []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete}
	out := []Endpoint{
		built(post, "/experiments/create", "artifact_location is not used: artifacts are in this server's data folder", answer(a, a.createExperiment)),
		built(get, "/experiments/get", "the id 0 is the experiment named Default", answer(a, a.getExperiment)),
		built(get, "/experiments/get-by-name", "", answer(a, a.experimentByName)),
		built(either, "/experiments/search", "", answer(a, a.searchExperiments)),
		built(get, "/experiments/list", "of MLflow before 2.0", answer(a, a.searchExperiments)),
		built(post, "/experiments/update", "", answer(a, a.renameExperiment)),
		built(post, "/experiments/delete", "archives it", answer(a, a.deleteExperiment)),
		built(post, "/experiments/restore", "", answer(a, a.restoreExperiment)),
		built(post, "/experiments/set-experiment-tag", "mlflow.note.content is the description", answer(a, a.tagExperiment)),
		built(post, "/experimentsset-experiment-tag", "as the npm client mlflow 2.0.7 writes it", answer(a, a.tagExperiment)),
		built(post, "/experiments/delete-experiment-tag", "", answer(a, a.untagExperiment)),

		built(post, "/runs/create", "", answer(a, a.createRun)),
		built(get, "/runs/get", "", answer(a, a.getRun)),
		built(post, "/runs/update", "the status of a pipeline's run is the pipeline's: INVALID_STATE", answer(a, a.updateRun)),
		built(post, "/runs/delete", "archives it", answer(a, a.deleteRun)),
		built(post, "/runs/restore", "", answer(a, a.restoreRun)),
		built(post, "/runs/search", "at most 1,000 runs a page; the filter's language is a wider one (docs/search.md)", answer(a, a.searchRuns)),
		built(post, "/runs/log-metric", "", answer(a, a.logMetric)),
		built(post, "/runs/log-parameter", "", answer(a, a.logParam)),
		built(post, "/runs/log-batch", "metrics are stored after params and tags; a mistake in any stores nothing", answer(a, a.logBatch)),
		built(post, "/runs/set-tag", "mlflow.runName, mlflow.note.content and mlflow.parentRunId are the run's name, notes and parent", answer(a, a.tagRun)),
		built(post, "/runs/delete-tag", "", answer(a, a.untagRun)),

		built(get, "/metrics/get-history", "in the order logged", answer(a, a.metricHistory)),
		built(get, "/metrics/get-history-bulk", "", answer(a, a.historyOfMany)),
		built(get, "/metrics/get-history-bulk-interval", "of a run with more points than asked for, the first of each of equal stretches of steps, and its last", answer(a, a.historyInInterval)),

		built(get, "/artifacts/list", "on one page", answer(a, a.listArtifacts)),
		built(get, "//api/2.0/mlflow-artifacts/artifacts", "lists a folder", a.handle(a.proxied)),
		built(get, "//api/2.0/mlflow-artifacts/artifacts/*", "", a.handle(a.proxied)),
		built([]string{http.MethodPut}, "//api/2.0/mlflow-artifacts/artifacts/*", "", a.handle(a.upload)),
		built(get, "//get-artifact", "", a.handle(a.getArtifact)),
		built(get, "//health", "", func(c echo.Context) error { return c.String(http.StatusOK, "OK") }),
		built(get, "//version", "Triality's own", func(c echo.Context) error { return c.String(http.StatusOK, a.Version) }),

		{post, "/runs/log-inputs", "data sets of a run are not stored yet", false, nil},
		{post, "/runs/outputs", logged, false, nil},
		{post, "/runs/log-model", logged, false, nil},
		{[]string{http.MethodDelete}, "//api/2.0/mlflow-artifacts/artifacts/*", "a run's artifacts go with it", false, nil},
		{post, "//api/2.0/mlflow-artifacts/mpu/*", "send the file by PUT", false, nil},
		{all, "/registered-models/*", registry, false, nil},
		{all, "/model-versions/*", registry, false, nil},
		{post, "/logged-models", logged, false, nil},
		{all, "/logged-models/*", logged, false, nil},
		{all, "/traces/*", "there are no traces", false, nil},
	}
	for i, e := range out {
		if !e.Built {
			out[i].handler = a.handle(func(echo.Context) error { return &failure{http.StatusNotImplemented, codeUnbuilt, e.Note} })
		}
	}
	return out
}

// Register adds the endpoints to a server, and answers of theirs for all other paths below the prefixes.
func (a *API) Register(e *echo.Echo) {
	for _, end := range a.Endpoints() {
		for _, at := range end.Paths() {
			for _, m := range end.Methods {
				e.Add(m, at, end.handler)
				if m == http.MethodGet { // net/http sends the head of the answer alone
					e.Add(http.MethodHead, at, end.handler)
				}
			}
		}
	}
	unknown := a.handle(func(c echo.Context) error {
		return &failure{http.StatusNotFound, codeNoEndpoint, "no endpoint of MLflow's API: " + c.Request().Method + " " + c.Request().URL.Path}
	})
	for _, prefix := range Prefixes {
		e.Any(prefix+"/*", unknown)
	}
}

// Paths are where the endpoint stands.
func (e Endpoint) Paths() []string {
	if e.Path[:2] == "//" {
		return []string{e.Path[1:]}
	}
	out := make([]string, len(Prefixes))
	for i, p := range Prefixes {
		out[i] = p + e.Path
	}
	return out
}
