//go:build linux

package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/experiments/config"
	"triality/frontend"
)

func TestAServersRunsKeepToItsDataRoot(t *testing.T) {
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	dir, root := killFolder(t, 1), t.TempDir()
	for _, name := range []string{"rows.jsonl", "model"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "outside"), os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "outside"), filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	s := &tracker{dir: dir, args: []string{"--data-root", root}}
	s.start(t)
	defer s.cmd.Process.Kill()
	c, ctx := s.client(t), context.Background()
	base := fmt.Sprintf(pipelineYAML, 1)
	p := config.Default()
	p.Test.Metrics = []config.Metric{{}}
	for _, path := range config.Paths(&p) {
		name := "model"
		if path.Kind == config.InputPath || path.Kind == config.ModulePath {
			name = "rows.jsonl"
		}
		for _, file := range []string{filepath.Join(dir, "outside", name), filepath.Join("link", name), filepath.Join("..", filepath.Base(dir), "outside", name),
			filepath.Join(dir, "outside", "none"), filepath.Join(dir, "outside", "rows.jsonl", "below"), filepath.Join("link", "rows.jsonl", "below")} {
			a := absurd{path.Key, path.Key, file}
			if path.Kind == config.ModulePath {
				a.yaml, a.value = "test.metrics", []any{map[string]any{"module": file}}
			}
			_, err := c.Submit(ctx, a.config(t, base), "", root)
			if experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), path.Key+": "+file+" lies outside "+root) {
				t.Errorf("%s: %s: %v", path.Key, file, err)
			}
		}
	}
	if _, err := c.Submit(ctx, base, "", dir); experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), dir) {
		t.Errorf("a working folder outside: %v", err)
	}
	run, err := c.Submit(ctx, base, "", "") // relative paths begin in the root
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(2 * time.Minute); !run.Status.Done() && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if run, err = c.Run(ctx, run.ID); err != nil {
			t.Fatal(err)
		}
	}
	if run.Status != experiments.Finished {
		t.Errorf("below the root the run is %s: %s", run.Status, run.Error)
	}
	if list, err := os.ReadDir(filepath.Join(root, "work")); err != nil || len(list) == 0 {
		t.Errorf("the root has %v, %v", list, err)
	}
}
