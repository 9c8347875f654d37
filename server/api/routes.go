package api

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/experiments/kinds"
	"triality/runtime/tablefile"
	"triality/server/books"
	"triality/server/fleet"
	"triality/server/search"
	"triality/server/store"
	"triality/server/think"
)

// route is a route and what the OpenAPI document says of it.
type route struct {
	method, path string
	summary      string
	query        []parameter
	body         any    // a value of the JSON body's type
	bodyType     string // media type of a body that is not JSON
	status       int    // of success
	answer       any    // a value of the JSON answer's type
	answerType   string // media type of an answer that is not JSON
	id           string // in the document; empty: made of the path
	once         bool   // a repetition with the same Idempotency-Key is done once
	errors       []experiments.Code
	handler      echo.HandlerFunc
}

type parameter struct{ name, about string }

var (
	pages         = []parameter{{"limit", "how many items, 1 to 1000"}, {"cursor", "next_cursor of the page before"}}
	purges        = []parameter{{"purge", "true: for good, at once"}}
	comparedQuery = []parameter{{"a", "a run"}, {"b", "another, or the same"}, {"a_arm", "A or B of its A/B test; default B"}, {"b_arm", "likewise"}, {"show", "differ, fixed, broken, both_wrong or all; default differ"}, {"label", "rows of this class"}, {"language", "rows of this language"}, {"q", "rows that contain this, in their text or in what was written"},
		{"where", "a column of columns, one of = != < <= > >= ~ (contains) and a value: row.style=plain, a.confidence<0.5, b.prediction=DENY; may stand several times. No comparison holds for a row without a value, but = and nothing after it"}}
	missing = []experiments.Code{experiments.CodeNotFound}
	wrong   = []experiments.Code{experiments.CodeInvalid, codeMedia, experiments.CodeTooLarge}
	fragile = []experiments.Code{experiments.CodeUnavailable, experiments.CodeUnknown} // of every write
	writing = with(wrong, fragile...)
)

// atRoot are the routes that stand where others look for them, not under /api/v1.
var atRoot = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true, "/shared/:secret": true, "/think": true}

const eventsPath = "/api/v1/events"

func with[T any](some []T, more ...T) []T { return append(append([]T(nil), some...), more...) }

const (
	aboutSearch  = "Runs of all experiments that match a filter, in any order, with the values of the asked columns. Pages are stable while runs change. Notes name keys that no run has, or that may mean several"
	aboutColumns = "The metrics, parameters and tags of the runs that match, with their types and whether they vary"
	aboutUndo    = "The header Undo-Token of the answer holds a token for POST /undo/TOKEN, which brings it back"
	aboutView    = "Replace a view. If-Match holds the revision that the change is for, as the ETag had it: where another came between, nothing is changed and the answer is 412 with the present revision"
	aboutThink   = "Judge a query, and answer it where the verdict is ALLOW: by the final section of what the model writes, and nothing else of it. With Accept: text/event-stream the answer comes as events: verdict, text (pieces), end; or error, which withdraws the texts before it"
	aboutGroups  = "The runs that match in groups of equal values, with each group's mean and spread"
)

// routes is every route but the pages'.
func (s *Server) routes() []route {
	const (
		nf = experiments.CodeNotFound
		cf = experiments.CodeConflict
		iv = experiments.CodeInvalid
		un = experiments.CodeUnavailable
	)
	rs := []route{
		{method: "GET", path: "/healthz", summary: "Whether the server is well: it answers, and its last write worked", answer: health{}, errors: []experiments.Code{un}, handler: s.health},
		{method: "GET", path: "/readyz", summary: "Whether the server takes new work: it is well and not stopping", answer: health{}, errors: []experiments.Code{un}, handler: s.ready},
		{method: "GET", path: "/metrics", summary: "The server's own figures in Prometheus's text format", answerType: "text/plain", handler: s.prometheus},
		{method: "GET", path: "/info", summary: "Versions, device and space", answer: infoAnswer{}, handler: s.info},
		{method: "GET", path: "/openapi.json", summary: "This document", answer: map[string]any{}, handler: s.document},

		{method: "GET", path: "/experiments", summary: "Experiments, the newest first", query: with(pages, parameter{"folder", "in this folder and those below it"}), answer: list[store.ExperimentInfo]{}, errors: []experiments.Code{iv}, handler: s.experiments},
		{method: "POST", path: "/experiments", summary: "Make an experiment; names are unique", body: newExperiment{}, status: 201, answer: store.ExperimentInfo{}, once: true, errors: with(writing, cf), handler: s.createExperiment},
		{method: "GET", path: "/experiments/:id", summary: "One experiment", answer: store.ExperimentInfo{}, errors: missing, handler: s.experiment},
		{method: "PATCH", path: "/experiments/:id", summary: "Change an experiment; a tag or direction that is null is removed", body: experimentPatch{}, answer: store.ExperimentInfo{}, errors: with(writing, nf, cf), handler: s.patchExperiment},
		{method: "DELETE", path: "/experiments/:id", summary: "Remove an experiment with its runs, none of which may be under way. " + aboutUndo, query: purges, status: 204, once: true, errors: with(fragile, iv, nf, cf), handler: s.deleteExperiment},

		{method: "GET", path: "/folders", summary: "The folders of experiments, those above them too, with what is in and below each", answer: list[store.Folder]{}, handler: s.folders},
		{method: "PATCH", path: "/folders", summary: "Rename or move a folder with all that is in and below it; empty is the top", body: folderPatch{}, answer: movedFolder{}, errors: with(writing, nf), handler: s.moveFolder},

		{method: "GET", path: "/runs", summary: "Runs, the newest first", query: append([]parameter{{"experiment_id", "of this experiment"}, {"status", "of this status"}, {"q", "with this text in name, id, parameters, tags or a metric's name"}}, pages...), answer: list[experiments.Run]{}, errors: []experiments.Code{iv, nf}, handler: s.runs},
		{method: "GET", path: "/runs/search", summary: aboutSearch, query: with(scopeQuery, with(pages, parameter{"order_by", "a key, ASC or DESC after it; may stand several times"}, parameter{"columns", "a key whose values are wanted; may stand several times"}, parameter{"offset", "in place of a cursor: the page begins so many runs after the first"}, parameter{"snapshot", "with offset: of an earlier answer, whose order and runs stay"}, parameter{"form", "table: rows and values column by column in place of items"}, parameter{"vary", "so many parameters and tags that differ are wanted"})...), answer: search.Result{}, errors: []experiments.Code{iv, nf, cf}, handler: s.searchRuns},
		{method: "POST", path: "/runs/search", summary: aboutSearch + ". Changes nothing: POST takes what an address cannot hold", body: search.Request{}, answer: search.Result{}, errors: with(wrong, nf, cf), handler: s.searchRuns},
		{method: "GET", path: "/runs/columns", summary: aboutColumns, query: with(scopeQuery, parameter{"name", "only those whose name contains this text"}, parameter{"varies", "true: only those that differ among the runs"}, parameter{"limit", "so many columns at most"}), answer: search.Facets{}, errors: []experiments.Code{iv, nf}, handler: s.runColumns},
		{method: "POST", path: "/runs/columns", summary: aboutColumns + ". Changes nothing", body: runColumns{}, answer: search.Facets{}, errors: with(wrong, nf), handler: s.runColumns},
		{method: "GET", path: "/runs/groups", summary: aboutGroups, query: with(scopeQuery, parameter{"group_by", "a key; may stand several times"}, parameter{"columns", "a key of numbers; may stand several times"}, parameter{"order_by", "a key, ASC or DESC after it"}, parameter{"limit", "how many groups, 1 to 1000"}, parameter{"offset", "so many groups are passed over"}), answer: search.Groups{}, errors: []experiments.Code{iv, nf}, handler: s.runGroups},
		{method: "POST", path: "/runs/groups", summary: aboutGroups + ". Changes nothing", body: runGroups{}, answer: search.Groups{}, errors: with(wrong, nf), handler: s.runGroups},
		{method: "POST", path: "/runs", summary: "Make a run that a client logs. It is running and begins now, unless its times and status say otherwise: a run of the past is taken over so", body: newRun{}, status: 201, answer: experiments.Run{}, once: true, errors: with(writing, nf), handler: s.createRun},
		{method: "GET", path: "/runs/:id", summary: "One run", answer: experiments.Run{}, errors: missing, handler: s.run},
		{method: "PATCH", path: "/runs/:id", summary: "Change a run; a parameter or tag that is null is removed; the status of a pipeline's run is the pipeline's", body: runPatch{}, answer: experiments.Run{}, errors: with(writing, nf, cf), handler: s.patchRun},
		{method: "DELETE", path: "/runs/:id", summary: "Remove a run that has ended, with its points and artifacts. " + aboutUndo, query: purges, status: 204, once: true, errors: with(fragile, iv, nf, cf), handler: s.deleteRun},
		{method: "POST", path: "/runs/bulk", summary: "Tag, move, archive, restore from the archive or delete many runs, by their ids or by a filter and how many match it. Answers when all is done, with the token that undoes it; a run that cannot be changed is skipped, and problems say why", body: bulkRuns{}, answer: store.Change{}, once: true, errors: with(writing, nf, cf), handler: s.bulk},
		{method: "GET", path: "/undo", summary: "The changes of many runs and the deletions that are kept, the newest first", answer: list[store.Change]{}, handler: s.undos},
		{method: "POST", path: "/undo/:token", summary: "Undo a change of many runs or a deletion, exactly. Where something was changed again since, nothing is undone and details name it, unless skip_conflicts leaves that as it is", body: undoBody{}, answer: store.Change{}, once: true, errors: with(writing, nf, cf), handler: s.undo},
		{method: "DELETE", path: "/undo/:token", summary: "Give the undo of a change up: what it deleted is removed for good and its space freed", status: 204, errors: with(fragile, nf, cf), handler: s.purge},
		{method: "POST", path: "/runs/:id/cancel", summary: "Stop a queued or running run", status: 202, answer: experiments.Run{}, errors: with(fragile, nf, cf), handler: s.cancelRun},
		{method: "POST", path: "/runs/:id/resume", summary: "Queue an interrupted or failed run again: the same run goes on. One that waits or runs already is given as it is", status: 202, answer: experiments.Run{}, errors: with(fragile, nf, cf), handler: s.resumeRun},

		{method: "GET", path: "/runs/:id/log", summary: "What the run's workers printed, the last 16 MB", query: []parameter{{"from", "offset in bytes"}}, answerType: "text/plain", errors: with(missing, iv, un), handler: s.runLog},
		{method: "GET", path: "/runs/:id/metrics", summary: "A run's metric series with their last points", answer: list[store.SeriesInfo]{}, errors: missing, handler: s.metrics},
		{method: "POST", path: "/runs/:id/metrics", summary: "Append points; answers when they are durable. A value may be a number, null or one of the strings NaN, Infinity, -Infinity; a time that is left out is that of receipt. A point whose step, time and value are those of one stored lately is a retry and is stored once", body: metricsBody{}, status: 204, once: true, errors: with(writing, nf), handler: s.logMetrics},
		{method: "GET", path: "/runs/:id/metrics/series", summary: "One series, thinned so that each stretch keeps its least and greatest value; points are [step, Unix ms, value or null]", query: []parameter{{"name", "of the metric"}, {"max_points", "8 to 100000; default 2000"}}, answer: seriesAnswer{}, errors: with(missing, iv), handler: s.series},
		{method: "POST", path: "/series", summary: "One metric of up to 200 runs, or several metrics of each of some, up to 200 series: each thinned, of all steps or of those from and to; a run without it is left out. A value is a number, null for NaN, or Infinity or -Infinity as a string", body: seriesQuestion{}, answer: seriesAnswers{}, errors: wrong, handler: s.manySeries},

		{method: "GET", path: "/runs/:id/artifacts", summary: "A run's files", answer: list[experiments.Artifact]{}, errors: missing, handler: s.artifacts},
		{method: "GET", path: "/runs/:id/artifacts/*", summary: "A file's content; ranges are served", query: []parameter{{"download", "1: as an attachment"}}, answerType: "*/*", errors: missing, handler: s.artifact},
		{method: "PUT", path: "/runs/:id/artifacts/*", summary: "Store a file; the same path replaces it", bodyType: "*/*", status: 201, answer: experiments.Artifact{}, errors: with(fragile, nf, iv, experiments.CodeTooLarge), handler: s.putArtifact},
		{method: "GET", path: "/runs/:id/rows/*", summary: "Rows of a Parquet or Arrow file: columns with their types, how many rows there are, and some of them. A value is a text, of a nested value its JSON, of bytes their base64", query: []parameter{{"offset", "of the first row, from 0"}, {"limit", "how many rows, 1 to 1000; default 100"}}, answer: tablefile.Page{}, errors: with(missing, iv, un), handler: s.rows},
		{method: "GET", path: "/runs/:id/abtest", summary: "Result of the A/B test", answer: experiments.ABResult{}, errors: missing, handler: s.jsonArtifact(artifactAB)},
		{method: "GET", path: "/runs/:id/abtest/metrics", summary: "What metric modules gave on the A/B test, each with its key; a value a row is left out, which the A/B test's result has", answer: list[experiments.ModuleResult]{}, errors: missing, handler: s.moduleResults},
		{method: "POST", path: "/runs/:id/abtest/metrics", summary: "Run a stored metric module on the A/B test and keep its result with the run", body: newTrial{}, status: 201, answer: experiments.ModuleResult{}, errors: with(writing, nf, cf), handler: s.tryModule},
		{method: "GET", path: "/runs/:id/environment", summary: "What the A/B test was measured on: device, versions, platform. Empty, on 0 rows, of a run without one", answer: environment{}, errors: with(missing, iv), handler: s.environment},
		{method: "GET", path: "/runs/:id/data", summary: "What the convert step found", answer: experiments.DatasetSummary{}, errors: missing, handler: s.jsonArtifact(artifactData)},
		{method: "GET", path: "/runs/:id/replacement", summary: "replacement.json of the SO8T model", answer: map[string]any{}, errors: missing, handler: s.jsonArtifact(artifactReplacement)},
		{method: "GET", path: "/runs/:id/report", summary: "The report as one offline HTML file", query: []parameter{{"lang", "en or ja"}, {"download", "1: as an attachment"}}, answerType: "text/html", errors: with(missing, iv, experiments.CodeTooLarge, un), handler: s.report},

		{method: "GET", path: "/notebooks", summary: "The notebooks of the served folder", answer: list[books.Entry]{}, errors: with([]experiments.Code{un}, experiments.CodeTooLarge), handler: s.notebooks},
		{method: "GET", path: "/notebooks/*", summary: "A notebook's text, or an earlier one of its revisions", query: []parameter{{"revision", "one of its history"}, {"blocks", "1: with its text in blocks"}}, answer: books.Book{}, errors: with(missing, iv, un), handler: s.notebook},
		{method: "PUT", path: "/notebooks/*", summary: "Write a notebook: If-Match has the revision that is replaced, If-None-Match: * makes a new one. Where the file says something else by now, details have it as book", body: bookText{}, answer: books.Book{}, errors: with(writing, nf, cf), handler: s.writeNotebook},
		{method: "DELETE", path: "/notebooks/*", summary: "Remove a notebook whose revision If-Match has; its history stays", status: 204, errors: with(missing, iv, un, cf), handler: s.removeNotebook},
		{method: "GET", path: "/notebooks/history", summary: "The texts that a notebook had, the newest first", query: []parameter{{"name", "of the notebook"}}, answer: list[books.Version]{}, errors: []experiments.Code{iv, un}, handler: s.notebookHistory},
		{method: "GET", path: "/notebooks/cells", summary: "A notebook's cells as its file has them, with the revision", query: []parameter{{"name", "of the notebook"}}, answer: books.CellTexts{}, errors: with(missing, iv, un), handler: s.notebookCells},
		{method: "PUT", path: "/notebooks/cells", summary: "Give one cell another body, or make one; no byte outside it changes. If-Match has the notebook's revision, and X-Triality-Client the name that the history has", body: newCellText{}, answer: books.Book{}, errors: with(writing, nf, cf, un), handler: s.writeCell},
		{method: "GET", path: "/comments", summary: "What was said of a notebook's cells, the oldest first. It is found by the cells' names and stays when a cell is gone", query: []parameter{{"book", "the notebook's name"}, {"deleted", "true: those that were deleted and can be taken back"}}, answer: list[store.Comment]{}, errors: []experiments.Code{iv}, handler: s.comments},
		{method: "POST", path: "/comments", summary: "Say something of a cell. The author is whoever the sender says", body: newComment{}, status: 201, answer: store.Comment{}, once: true, errors: with(writing, nf, un), handler: s.addComment},
		{method: "PATCH", path: "/comments/:id", summary: "Change a comment's text, or resolve it. If-Match holds the revision that the change is for; where another came between, the answer is 412 with the present one", body: commentPatch{}, answer: store.Comment{}, errors: with(writing, nf, codePrecondition), handler: s.patchComment},
		{method: "DELETE", path: "/comments/:id", summary: "Delete a comment; it can be taken back for 30 days", status: 204, errors: with(fragile, nf, iv, codePrecondition), handler: s.deleteComment},
		{method: "POST", path: "/comments/:id/restore", summary: "Take a deleted comment back", answer: store.Comment{}, errors: with(fragile, nf), handler: s.restoreComment},
		{method: "POST", path: "/presence", summary: "Say that a page has a notebook open, and in which cell; answers with all that have. A page that does not say so for 8 seconds is gone", body: pageHere{}, answer: list[books.Present]{}, errors: with(wrong, un), handler: s.pageIsHere},
		{method: "GET", path: "/kinds", summary: "The kinds of cells and steps: what each gives, what it costs, and a JSON Schema of its body", answer: list[kinds.KindSchema]{}, handler: s.kinds},
		{method: "POST", path: "/notebooks/state", summary: "What state each cell of a notebook's text is in, saved or not: what is wrong, done, out of date, under way. Nothing runs", body: bookStatus{}, answer: books.Status{}, errors: with(wrong, un), handler: s.notebookStatus},

		{method: "GET", path: "/compare/samples", summary: "Two runs on the rows that both judged: paired difference with interval and test, and the rows on which they differ", query: with(comparedQuery, parameter{"offset", "so many rows are passed over"}, parameter{"limit", "1 to 1000"}, parameter{"inference", "0: without it, which takes long where rows are many"}), answer: comparedSamples{}, errors: with(missing, iv, experiments.CodeTooLarge), handler: s.compareSamples},
		{method: "GET", path: "/compare/rows", summary: "The rows of two runs that a comparison shows, as JSON lines that data.input_path reads: the row that was judged, with its own answer. In results of before instructions were kept they have none", query: comparedQuery, answerType: "application/jsonl", errors: with(missing, iv, experiments.CodeTooLarge), handler: s.comparedRows},
		{method: "GET", path: "/samples/history", summary: "What every run made of one sample, the newest first; up to 200 A/B results a request, next_cursor goes on", query: []parameter{{"key", "of the sample, as a comparison gives it"}, {"run", "in place of key: a run that judged it"}, {"index", "with run: the sample's index"}, {"cursor", "next_cursor of the page before"}}, answer: sampleHistory{}, errors: with(missing, iv, experiments.CodeTooLarge), handler: s.sampleHistory},

		{method: "POST", path: "/plan", summary: "What a run of a pipeline or a graph of steps would do: steps, keys, what is taken over, cost. Nothing runs", body: newPlan{}, answer: planAnswer{}, errors: with(wrong, nf, un, codeForbidden), handler: s.plan},
		{method: "POST", path: "/jobs", summary: "Queue a pipeline or a graph of steps", body: newJob{}, status: 202, answer: experiments.Run{}, once: true, errors: with(writing, nf, cf, codeForbidden), handler: s.submit},
		{method: "GET", path: "/queue", summary: "The pipelines under way and those that wait, in the order in which they start", answer: list[experiments.Run]{}, errors: []experiments.Code{un}, handler: s.queue},
		{method: "GET", path: "/workers", summary: "The workers on other machines that have joined since the server started: what they have, what they run, and how long ago they were heard of", answer: list[fleet.Member]{}, handler: s.workers},
		{method: "POST", path: "/store/check", summary: "Check every record and file of the store", answer: StoreCheck{}, handler: s.checkStore},
		{method: "GET", path: "/views", summary: "Saved views by name, without their bodies", query: []parameter{{"experiment", "of this experiment; empty: of none"}, {"folder", "in this folder"}}, answer: list[store.View]{}, handler: s.views},
		{method: "POST", path: "/views", summary: "Save a view, which all share. Its body is any JSON of at most 64 KiB, kept byte for byte", body: newView{}, status: 201, answer: wholeView{}, once: true, errors: with(writing, nf, cf), handler: s.createView},
		{method: "GET", path: "/views/:id", summary: "One view; its ETag is its revision", answer: wholeView{}, errors: missing, handler: s.view},
		{method: "PUT", path: "/views/:id", summary: aboutView, body: newView{}, answer: wholeView{}, errors: with(writing, nf, cf, codePrecondition), handler: s.putView},
		{method: "PATCH", path: "/views/:id", summary: "Change a part of a view, as PUT changes all of it", body: viewPatch{}, answer: wholeView{}, errors: with(writing, nf, cf, codePrecondition), handler: s.patchView},
		{method: "DELETE", path: "/views/:id", summary: "Remove a view; with If-Match, only at that revision", status: 204, errors: with(fragile, nf, iv, codePrecondition), handler: s.deleteView},

		{method: "GET", path: "/reports", summary: "Reports that people put together, those changed last first, without their bodies", query: []parameter{{"deleted", "true: those that were deleted and can be taken back"}}, answer: list[wholeReport]{}, errors: []experiments.Code{iv}, handler: s.reports},
		{method: "POST", path: "/reports", summary: "Make a report of blocks: prose in Markdown, sections of runs and A/B tests, runs side by side", body: newReport{}, status: 201, answer: wholeReport{}, once: true, errors: writing, handler: s.createReport},
		{method: "GET", path: "/reports/:id", summary: "One report; its ETag is its revision", answer: wholeReport{}, errors: missing, handler: s.writtenReport},
		{method: "PATCH", path: "/reports/:id", summary: "Change a report's title or body. If-Match holds the revision that the change is for; where another came between, the answer is 412 with the present one", body: reportPatch{}, answer: wholeReport{}, errors: with(writing, nf, codePrecondition), handler: s.patchReport},
		{method: "DELETE", path: "/reports/:id", summary: "Delete a report, which ends its links; it can be taken back for 30 days", status: 204, errors: with(fragile, nf, iv, codePrecondition), handler: s.deleteReport},
		{method: "POST", path: "/reports/:id/restore", summary: "Take a deleted report back, with its links", answer: wholeReport{}, errors: with(fragile, nf), handler: s.restoreReport},
		{method: "GET", path: "/reports/:id/html", summary: "A report as one offline HTML file", query: []parameter{{"download", "1: as an attachment"}}, answerType: "text/html", errors: with(missing, iv, experiments.CodeTooLarge, un), handler: s.reportFile},
		{method: "POST", path: "/reports/:id/shares", summary: "Make a link to a report. Its path, which cannot be guessed, is in this answer alone", status: 201, answer: reportShare{}, errors: with(fragile, nf, experiments.CodeTooLarge), handler: s.shareReport},
		{method: "DELETE", path: "/reports/:id/shares/:share", summary: "Withdraw a link", status: 204, errors: with(fragile, nf), handler: s.withdrawShare},
		{method: "GET", path: "/shared/:secret", summary: "The report of a link, as one HTML file in a sandbox", query: []parameter{{"download", "1: as an attachment"}}, answerType: "text/html", errors: with(missing, iv, experiments.CodeTooLarge, un), handler: s.sharedReport},

		{method: "POST", path: "/think", id: "think", summary: aboutThink, body: thinkBody{}, answer: thinkAnswer{}, errors: with(wrong, nf, un), handler: s.think},
		{method: "POST", path: "/api/v1/think", summary: aboutThink, body: thinkBody{}, answer: thinkAnswer{}, errors: with(wrong, nf, un), handler: s.think},
		{method: "GET", path: "/escalations", summary: "The queries that wait for a person, the oldest first", answer: list[think.Escalation]{}, handler: s.escalations},
		{method: "POST", path: "/escalations/:id/decision", summary: "Decide on a query that waits, allow or deny: the audit log keeps decision and note, and the query is forgotten", body: decision{}, status: 204, errors: with(wrong, nf, un), handler: s.decideEscalation},

		{method: "GET", path: "/configs", summary: "The pipeline configurations that come with this server", answer: list[Config]{}, handler: s.configs},

		{method: "GET", path: "/modules", summary: "Metric modules", answer: list[experiments.Module]{}, handler: s.modules},
		{method: "POST", path: "/modules", summary: "Validate and add a metric module; also as the field \"file\" of multipart/form-data. Details of a failed validation hold checks", bodyType: "application/wasm", status: 201, answer: experiments.Module{}, errors: writing, handler: s.addModule},
		{method: "GET", path: "/modules/:sha256", summary: "One module", answer: experiments.Module{}, errors: missing, handler: s.module},
		{method: "GET", path: "/modules/:sha256/wasm", summary: "A module's bytes", answerType: "application/wasm", errors: missing, handler: s.moduleBytes},
		{method: "DELETE", path: "/modules/:sha256", summary: "Take a module off the list; its bytes are kept while a run used it", status: 204, errors: missing, handler: s.hideModule},

		{method: "GET", path: "/events", summary: "Server-sent events: run, runs, metrics, progress, module, comments, presence; reset says that events were missed. Resumes after Last-Event-ID", query: []parameter{{"run_id", "only this run's"}, {"last_event_id", "as the header Last-Event-ID"}, {"named", "1: an event's data is {\"run_id\": …, \"data\": …}"}}, answerType: "text/event-stream", errors: []experiments.Code{iv, un}, handler: s.events},
	}
	for i := range rs {
		if !atRoot[rs[i].path] && !strings.HasPrefix(rs[i].path, "/api/") {
			rs[i].path = "/api/v1" + rs[i].path
		}
		if rs[i].status == 0 {
			rs[i].status = http.StatusOK
		}
	}
	return rs
}
