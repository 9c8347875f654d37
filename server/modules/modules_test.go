package modules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/experiments/pipeline/metrictest"
	"triality/runtime/sandbox"
	"triality/server/store"
)

// ClientArg is the first argument with which a test starts this program as another one that uploads; Client
// is what that does.
const ClientArg = "upload-hostile-modules"

var Client func(args []string) int

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.WorkerArg {
		os.Exit(sandbox.WorkerMain(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == ClientArg {
		os.Exit(Client(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// finished is a run with an A/B result of two rows, in which null stands for what was not measured.
const finished = `{"rows":2,"of_a_client":{"kept":true},"metrics":[{"name":"old","sha256":"x","outputs":[{"name":"u","kind":"scalar","direction":"none","values":[null]}]}],
"samples":[{"label":"ALLOW","prediction_a":"ALLOW","prediction_b":"DENY","probability_a":[1,0,0,0],"probability_b":[0,0,1,0]},
{"label":"DENY","prediction_a":"DENY","prediction_b":"DENY","probability_a":[0,0,1,0],"probability_b":[0,0,1,0]}]}`

func setup(t *testing.T, result string) (*Service, *store.Store) {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	host, err := sandbox.NewHost(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx := context.Background()
	e, err := st.EnsureExperiment(ctx, "e")
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SaveRun(ctx, experiments.Run{ID: "r", ExperimentID: e.ID, Name: "r", Status: experiments.Finished}); err != nil {
		t.Fatal(err)
	}
	if result != "" {
		if _, err := st.SaveArtifact(ctx, "r", pipeline.ResultArtifact, "application/json", strings.NewReader(result)); err != nil {
			t.Fatal(err)
		}
	}
	return New(st, host), st
}

func stored(t *testing.T, st *store.Store) (raw map[string]json.RawMessage, ab experiments.ABResult) {
	t.Helper()
	_, f, err := st.OpenArtifact(context.Background(), "r", pipeline.ResultArtifact)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &ab); err != nil {
		t.Fatal(err)
	}
	return raw, ab
}

func TestATriedModulesResultIsKeptWithTheRunAndNothingElseChanges(t *testing.T) {
	s, st := setup(t, finished)
	ctx := context.Background()
	m, err := s.Add(ctx, metrictest.Good("mine", 0.25))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second trial replaces the first
		out, err := s.Try(ctx, "r", m.SHA256, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Outputs) == 0 || out.Outputs[0].Values[0] != 0.25 {
			t.Fatalf("outputs %+v", out.Outputs)
		}
	}
	raw, ab := stored(t, st)
	if len(ab.Metrics) != 2 || ab.Metrics[1].SHA256 != m.SHA256 {
		t.Errorf("metrics %+v", ab.Metrics)
	}
	if !strings.Contains(string(raw["metrics"]), "null") || !strings.Contains(string(raw["of_a_client"]), "true") {
		t.Errorf("what stood in the result before was changed: %s", raw)
	}
	run, err := st.Run(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for name, v := range run.Summary {
		found = found || strings.HasPrefix(name, "abtest/metric/mine/") && v == 0.25
	}
	if !found {
		t.Errorf("summary %v", run.Summary)
	}
	used, _, err := st.Module(ctx, m.SHA256)
	if err != nil || len(used.UsedBy) != 1 || used.UsedBy[0] != "r" {
		t.Errorf("used by %v, %v", used.UsedBy, err)
	}
}

func TestResultsAreKeptByModuleAndParameters(t *testing.T) {
	// As results were stored before they had keys: a module's own defaults left out.
	wasm, other := metrictest.WithParameter("mine", 0.25), metrictest.WithParameter("mine", 0.75)
	sum := sha256.Sum256(wasm)
	old := strings.Replace(finished, `"metrics":[`, `"metrics":[{"name":"mine","version":"1","sha256":"`+hex.EncodeToString(sum[:])+`","params":{"missing":2.0},"wall_ms":1},`, 1)
	if old == finished {
		t.Fatal("the stored result has no metrics")
	}
	s, st := setup(t, old)
	ctx := context.Background()
	_, before := stored(t, st)
	if before.Metrics[0].Key == "" || before.Metrics[0].Name != "mine" {
		t.Errorf("the old result is read as %+v", before.Metrics[0])
	}
	for _, w := range [][]byte{wasm, other} {
		m, err := s.Add(ctx, w)
		if err != nil {
			t.Fatal(err)
		}
		for _, params := range []map[string]any{nil, {"missing": 2}, {"missing": 1}} {
			if _, err := s.Try(ctx, "r", m.SHA256, params); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, ab := stored(t, st)
	if len(ab.Metrics) != len(before.Metrics)+3 {
		t.Errorf("%d results, want two sets of parameters of two modules beside the %d others: %+v", len(ab.Metrics), len(before.Metrics)-1, ab.Metrics)
	}
	run, err := st.Run(ctx, "r")
	if err != nil {
		t.Fatal(err)
	}
	values := map[float64]int{}
	for _, v := range run.Summary {
		values[v]++
	}
	if values[0.25] != 2 || values[0.75] != 2 {
		t.Errorf("summary %v, want each of four results in its own series", run.Summary)
	}
}

func TestATrialThatCannotBeSaysWhyAndChangesNothing(t *testing.T) {
	good := metrictest.Good("mine", 1)
	tests := []struct {
		name, result, run string
		wasm              []byte
		code              experiments.Code
		want              string
	}{
		{"no A/B test", "", "r", good, experiments.CodeNotFound, "no finished A/B test"},
		{"no such run", finished, "other", good, experiments.CodeNotFound, "other"},
		{"a result without rows", `{"rows":0}`, "r", good, experiments.CodeConflict, "holds no rows"},
		{"a result that is not JSON", "{", "r", good, experiments.CodeInvalid, "run r"},
		{"a metric that does not suit the rows", finished, "r", metrictest.OfRows("picky", 64), experiments.CodeInvalid, "64 values for 2 rows"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, st := setup(t, tt.result)
			ctx := context.Background()
			m, err := st.AddModule(ctx, moduleRecord(t, s, tt.wasm), tt.wasm)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Try(ctx, tt.run, m.SHA256, nil)
			if experiments.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("%v (%s), want %s with %q", err, experiments.CodeOf(err), tt.code, tt.want)
			}
			if run, err := st.Run(ctx, "r"); err != nil || len(run.Summary) != 0 {
				t.Errorf("the run was changed: %v %v", run.Summary, err)
			}
		})
	}
	t.Run("no such module", func(t *testing.T) {
		s, _ := setup(t, finished)
		if _, err := s.Try(context.Background(), "r", "nope", nil); experiments.CodeOf(err) != experiments.CodeNotFound {
			t.Error(err)
		}
	})
}

// moduleRecord describes a module without the upload's dry run, which some of these would not pass.
func moduleRecord(t *testing.T, s *Service, wasm []byte) experiments.Module {
	t.Helper()
	d, err := s.engine.Sandbox.Describe(context.Background(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	info, err := sandbox.Preflight(wasm)
	if err != nil {
		t.Fatal(err)
	}
	return experiments.Module{SHA256: info.SHA256, Name: d.Name, Version: d.Version, Size: int64(len(wasm)), Description: *d}
}
