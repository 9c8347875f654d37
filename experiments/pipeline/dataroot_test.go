package pipeline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
	"triality/experiments/config"
)

func TestAConfigurationKeepsToTheDataRoot(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "org", "here"), 0o755); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(root, "way")); err != nil {
		t.Skip("no links here: ", err)
	}
	if err := os.Symlink("circle", filepath.Join(root, "circle")); err != nil {
		t.Fatal(err)
	}
	sum := strings.Repeat("ab", 32)
	tests := map[string]struct {
		set  func(cfg *config.Pipeline)
		want string // of the error
	}{
		"nothing": {func(cfg *config.Pipeline) {}, ""},
		"files below it": {func(cfg *config.Pipeline) {
			cfg.Data.InputPath, cfg.OutputDir = "rows.jsonl", filepath.Join(root, "a", "..", "work")
		}, ""},
		"a pattern below it":           {func(cfg *config.Pipeline) { cfg.Data.InputPath = "rows*.jsonl" }, ""},
		"a file outside":               {func(cfg *config.Pipeline) { cfg.Data.InputPath = filepath.Join("..", "rows.jsonl") }, "data.input_path: " + filepath.Join("..", "rows.jsonl") + " lies outside " + root},
		"a pattern outside":            {func(cfg *config.Pipeline) { cfg.Data.InputPath = filepath.Join("..", "rows*.jsonl") }, "data.input_path: "},
		"a pattern of names beside it": {func(cfg *config.Pipeline) { cfg.Data.InputPath = root + "*" }, "data.input_path: "},
		"a file behind a link":         {func(cfg *config.Pipeline) { cfg.Data.InputPath = filepath.Join("way", "rows.jsonl") }, "data.input_path: "},
		"a link to itself":             {func(cfg *config.Pipeline) { cfg.Data.InputPath = "circle" }, "data.input_path: circle lies outside "},
		"a model of the Hub":           {func(cfg *config.Pipeline) { cfg.Model.BaseModel = "org/there@main" }, ""},
		"a folder named as one is":     {func(cfg *config.Pipeline) { cfg.Model.BaseModel = "org/here" }, ""},
		"a folder that is no name":     {func(cfg *config.Pipeline) { cfg.Model.BaseModel = filepath.Join("..", "a", "b") }, "model.base_model: "},
		"a data set named as a model":  {func(cfg *config.Pipeline) { cfg.Data.InputPath = filepath.Join("way", "x") }, "data.input_path: "},
		"a module by its hash":         {func(cfg *config.Pipeline) { cfg.Test.Metrics = []config.Metric{{Module: sum}} }, ""},
		"a module": {func(cfg *config.Pipeline) {
			cfg.Test.Metrics = []config.Metric{{Module: filepath.Join(outside, "m.wasm")}}
		}, "test.metrics[0].module: "},
		"a module whose name is half a hash": {func(cfg *config.Pipeline) {
			cfg.Test.Metrics = []config.Metric{{Module: filepath.Join("..", sum[:32])}}
		}, "test.metrics[0].module: "},
		"two outside": {func(cfg *config.Pipeline) { cfg.Data.InputPath, cfg.OutputDir = outside, outside }, "\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var cfg config.Pipeline
			tt.set(&cfg)
			err := CheckPaths(FiveSteps(cfg), root, root)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || experiments.CodeOf(err) != experiments.CodeInvalid) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	var named config.Pipeline
	named.Test.Metrics = []config.Metric{{Module: sum}}
	if err := CheckPaths(FiveSteps(named), outside, root); err != nil {
		t.Errorf("a module by its hash is no path: %v", err)
	}
	named.Data.InputPath = sum
	if err := CheckPaths(FiveSteps(named), outside, root); err == nil || !strings.Contains(err.Error(), "data.input_path: ") || strings.Contains(err.Error(), "metrics") {
		t.Errorf("a file named as a hash is a path: %v", err)
	}
	if err := CheckPaths(Spec{}, root, filepath.Join(root, "circle")); err == nil || !strings.HasPrefix(err.Error(), "data root: ") {
		t.Errorf("a root that leads nowhere: %v", err)
	}
	t.Chdir(outside) // what is a folder is not asked of the working directory
	if err := os.MkdirAll(filepath.Join("org", "elsewhere"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !ofHub("org/elsewhere", root) || ofHub("org/here", root) || ofHub(filepath.Join(root, "org"), outside) || ofHub("no name", root) {
		t.Error("what is a model of the Hub")
	}
	for text, want := range map[string]bool{sum: true, sum[:62]: false, sum + "ab": false, "x" + sum[1:]: false} {
		if IsSum(text) != want {
			t.Errorf("%s is a hash: %v", text, IsSum(text))
		}
	}
}
