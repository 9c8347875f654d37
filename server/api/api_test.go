package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/tablefile"
	"triality/server/books"
	"triality/server/store"
	"triality/server/think"
)

var ctx = context.Background()

// world is a server with what its routes need.
type world struct {
	*Server
	t   testing.TB
	log *bytes.Buffer
	// in the store: experiment exp with run "live" (running, client's), "done" (finished, a pipeline's,
	// with every artifact) and the module mod.
	exp, mod string
}

type jobs struct{ s *store.Store }

func (j jobs) Submit(ctx context.Context, s experiments.Submission) (experiments.Run, error) {
	if s.Config == "bad" {
		e := experiments.Errorf(experiments.CodeInvalid, "config: line 1: unknown key")
		e.Details = map[string]any{"line": 1}
		return experiments.Run{}, e
	}
	return experiments.Run{ID: "queued", Name: s.Name, Status: experiments.Queued, Config: s.Config, Job: &experiments.Job{Dir: s.Dir, Priority: s.Priority}}, nil
}

func (j jobs) List(ctx context.Context) ([]experiments.Run, error) {
	runs, _, err := j.s.Runs(ctx, store.RunFilter{Status: experiments.Queued})
	return runs, err
}

func (j jobs) Log(id string, from int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("attempt 1\nconvert started\n"[from:])), nil
}

func (j jobs) Cancel(ctx context.Context, id string) error {
	r, err := j.s.Run(ctx, id)
	if err == nil && r.Status.Done() {
		err = experiments.Errorf(experiments.CodeConflict, "run %s is %s", id, r.Status)
	}
	return err
}

func (jobs) Plan(_ context.Context, config, _ string) ([]pipeline.PlannedStep, error) {
	if config == "broken" {
		return nil, experiments.Errorf(experiments.CodeInvalid, "config:1: broken")
	}
	return []pipeline.PlannedStep{{Name: "a", Kind: "convert", Key: "k", Cost: "cheap", Output: "work/convert/k"}}, nil
}

func (jobs) Waits(context.Context, string) *experiments.Reason { return nil }

func (j jobs) Prioritize(ctx context.Context, id string, n int) (experiments.Run, error) {
	return j.s.UpdateRun(ctx, id, func(r *experiments.Run) error {
		if r.Job == nil || r.Status != experiments.Queued {
			return experiments.Errorf(experiments.CodeConflict, "run %s is %s", id, r.Status)
		}
		r.Job.Priority = n
		return nil
	})
}

func (j jobs) Resume(ctx context.Context, id string) (experiments.Run, error) {
	r, err := j.s.Run(ctx, id)
	if err == nil && !r.Status.Done() {
		err = experiments.Errorf(experiments.CodeConflict, "run %s is %s", id, r.Status)
	}
	r.Status = experiments.Queued
	return r, err
}

type validator struct{ s *store.Store }

func moduleOf(wasm string) experiments.Module {
	sum := sha256.Sum256([]byte(wasm))
	return experiments.Module{SHA256: hex.EncodeToString(sum[:]), Name: "m", Version: "1"}
}

func (v validator) Add(ctx context.Context, wasm []byte) (experiments.Module, error) {
	if !bytes.HasPrefix(wasm, []byte("\x00asm")) {
		e := experiments.Errorf(experiments.CodeInvalid, "not a module")
		e.Details = map[string]any{"checks": []experiments.Check{{Name: "preflight", Detail: "magic"}}}
		return experiments.Module{}, e
	}
	return v.s.AddModule(ctx, moduleOf(string(wasm)), wasm)
}

func (v validator) Try(ctx context.Context, run, sum string, params map[string]any, _ ...string) (experiments.ModuleResult, error) {
	if _, err := v.s.Run(ctx, run); err != nil {
		return experiments.ModuleResult{}, err
	}
	m, _, err := v.s.Module(ctx, sum)
	return experiments.ModuleResult{Name: m.Name, SHA256: sum, Params: params}, err
}

type reporter struct{}

func (reporter) Render(_ context.Context, in experiments.ReportInput, w io.Writer) error {
	if in.Run.Name == "unreportable" {
		return errors.New("secret path /var/x")
	}
	_, err := io.WriteString(w, "<html lang="+in.Language+">"+in.Run.Name)
	return err
}

var builtSite = fstest.MapFS{
	"index.html":           {Data: []byte("<!doctype html>INDEX")},
	"assets/app-1a2b3c.js": {Data: []byte("app()")},
	"favicon.svg":          {Data: []byte("<svg/>")},
}

// bookOfTest is the notebook a.md of a world.
const bookOfTest = "---\ntitle: A\n---\n\n```triality convert id=a\nbase_model: m\ndata:\n  input_path: rows.jsonl\n```\n"

// bookRevision is its revision.
var bookRevision = fmt.Sprintf("%x", sha256.Sum256([]byte(bookOfTest)))

// arrowRows is an Arrow stream of three rows.
func arrowRows(t testing.TB) string {
	t.Helper()
	b := array.NewRecordBuilder(memory.DefaultAllocator, arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64}, {Name: "text", Type: arrow.BinaryTypes.String, Nullable: true}}, nil))
	b.Field(0).(*array.Int64Builder).AppendValues([]int64{0, 1, 2}, nil)
	b.Field(1).(*array.StringBuilder).AppendValues([]string{"行 0", "", "行 2"}, []bool{true, false, true})
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(b.Schema()))
	if err := errors.Join(w.Write(b.NewRecordBatch()), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := &world{t: t, log: &bytes.Buffer{}}
	o := Options{
		Store: st, Jobs: jobs{st}, Modules: validator{st}, Reporter: reporter{}, Frontend: builtSite,
		Configs: []Config{{Name: "demo", Title: "Demo", YAML: "a: 1\n"}}, Info: Info{Version: "1.2.3", Device: Device{Name: "cpu", Threads: 2}},
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelError})), MaxArtifactBytes: 1000, MaxModuleBytes: 1000,
	}
	o.Think = &answers{verdict: "ALLOW", texts: []string{"Four."}, end: think.Ending{Outcome: think.Answered}}
	o.Escalations = &waiting{[]think.Escalation{{Request: 5, Query: "may I?"}}}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.md"), []byte(bookOfTest), 0o666); err != nil {
		t.Fatal(err)
	}
	if o.Notebooks, err = books.Open(dir, filepath.Join(t.TempDir(), "history")); err != nil {
		t.Fatal(err)
	}
	desk := books.NewDesk(ctx, st, jobs{st})
	t.Cleanup(desk.Close)
	o.Desk = desk
	o.Rows = func(ctx context.Context, f *os.File, ask tablefile.Ask) (tablefile.Page, error) {
		info, err := f.Stat()
		if err != nil {
			return tablefile.Page{}, err
		}
		page, err := tablefile.Read(ctx, f, info.Size(), ask)
		if err != nil {
			err = fmt.Errorf("%w: %w", tablefile.ErrFile, err)
		}
		return page, err
	}
	if change != nil {
		change(&o)
	}
	if w.Server, err = New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	st = w.store // change may have set another
	e, err := st.EnsureExperiment(ctx, "e")
	if err != nil {
		t.Fatal(err)
	}
	w.exp = e.ID
	w.save(experiments.Run{ID: "live", Name: "live", Status: experiments.Running})
	w.save(experiments.Run{ID: "done", Name: "実行 1/2", Status: experiments.Finished, Config: "a: 1\n"})
	for path, text := range map[string]string{
		artifactAB: `{"rows":3,"differences":[],"metrics":[{"name":"x","sha256":"ab","outputs":[{"name":"v","kind":"scalar","values":[1]},{"name":"rows","kind":"column","values":[1,2,3]}]}]}`, artifactData: `{"rows":9}`, artifactReplacement: `{"hidden_size":64}`, "a b/日本.html": "<p>hi",
	} {
		if _, err := st.SaveArtifact(ctx, "done", path, "", strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if change == nil { // a disk that a test has made small keeps its room
		if _, err := st.SaveArtifact(ctx, "done", "a b/rows.arrow", "", strings.NewReader(arrowRows(t))); err != nil {
			t.Fatal(err)
		}
	}
	m, err := st.AddModule(ctx, moduleOf("\x00asm one"), []byte("\x00asm one"))
	if err != nil {
		t.Fatal(err)
	}
	w.mod = m.SHA256
	return w
}

func (w *world) save(r experiments.Run) {
	w.t.Helper()
	r.ExperimentID = w.exp
	if err := w.store.SaveRun(ctx, r); err != nil {
		w.t.Fatal(err)
	}
}

// do sends a request as a browser on the page itself would; headers are "Name: value".
func (w *world) do(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.Host = "127.0.0.1:8420"
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		if k == "Host" {
			req.Host = v
		} else if v == "" {
			req.Header.Del(k)
		} else {
			req.Header.Set(k, v)
		}
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, req)
	return rec
}

// scenario is one request and what the answer must be. In path and body EXP, MOD, VIEW, COMMENT and UNDO stand for the ids.
type scenario struct {
	method, path, body string
	headers            []string
	status             int
	code               experiments.Code // of an error
	has                []string         // in the body
}

func (w *world) check(t *testing.T, sc scenario) {
	t.Helper()
	view := ""
	if strings.Contains(sc.path, "/views") {
		v, err := w.store.CreateView(ctx, store.View{Name: "mine", Experiment: w.exp, Body: []byte(`{ "a":1.0}`)})
		if err != nil {
			t.Fatal(err)
		}
		view = v.ID
	}
	comment := ""
	if strings.Contains(sc.path, "/comments") {
		c, err := w.store.AddComment(ctx, store.Comment{Book: "a.md", Cell: "tune", Author: "Mika", Text: "Try 64?"})
		if err != nil {
			t.Fatal(err)
		}
		comment = c.ID
	}
	undo := ""
	if strings.Contains(sc.path+strings.Join(sc.has, ""), "UNDO") {
		c, err := w.store.ChangeRuns(ctx, store.Bulk{IDs: []string{"done"}, Action: store.ActionArchive})
		if err != nil {
			t.Fatal(err)
		}
		undo = c.Token
	}
	ids := strings.NewReplacer("UNDO", undo, "EXP", w.exp, "MOD", w.mod, "VIEW", view, "COMMENT", comment)
	rec := w.do(sc.method, ids.Replace(sc.path), ids.Replace(sc.body), sc.headers...)
	if rec.Code != sc.status {
		t.Fatalf("status %d, want %d: %s", rec.Code, sc.status, rec.Body)
	}
	if sc.code != "" {
		var f Failure
		if err := json.Unmarshal(rec.Body.Bytes(), &f); err != nil || f.Code != sc.code || f.Message == "" {
			t.Errorf("failure %s, error %v; want code %s", rec.Body, err, sc.code)
		}
	}
	if sc.status == http.StatusNoContent && rec.Body.Len() != 0 {
		t.Errorf("a body with 204: %s", rec.Body)
	}
	for _, text := range sc.has {
		if !strings.Contains(rec.Body.String(), ids.Replace(text)) {
			t.Errorf("the body lacks %s:\n%s", text, rec.Body)
		}
	}
}
