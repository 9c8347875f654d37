//go:build linux

package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/frontend"
)

// sums are the hashes of what a pipeline trains, by the paths below its folder.
func sums(t *testing.T, work string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(work, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".safetensors" {
			return err
		}
		raw, err := os.ReadFile(path)
		rel, _ := filepath.Rel(work, path)
		out[rel] = fmt.Sprintf("%x", sha256.Sum256(raw))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// alone is what one run of the configuration makes.
func alone(t *testing.T) (from, config string, want map[string]string) {
	t.Helper()
	if len(frontend.ReportECharts()) == 0 {
		t.Skip("the report needs the frontend's build: npm --prefix frontend run build")
	}
	from, config = killFolder(t, 1), fmt.Sprintf(pipelineYAML, 1)
	if err := os.WriteFile(filepath.Join(from, "p.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	mustRun(t, from, "run", "p.yaml")
	want = sums(t, filepath.Join(from, "work"))
	if len(want) < 3 {
		t.Fatalf("one run made %v", want)
	}
	return from, config, want
}

// fresh is a folder with the same inputs.
func fresh(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"rows.jsonl", "model", "p.yaml"} {
		if err := os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func sameSums(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for path, sum := range want {
		if got[path] != sum {
			t.Errorf("%s: %s differs from that of one run alone", what, path)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: made %d files, one run alone %d", what, len(got), len(want))
	}
}

func TestTwoRunsOfOneGraphAtOnceDoNotDisturbEachOther(t *testing.T) {
	from, config, want := alone(t)
	t.Run("two commands", func(t *testing.T) {
		dir := fresh(t, from)
		var said [2]bytes.Buffer
		ended := make(chan error, 2)
		for i := range said {
			go func() {
				cmd := triality(t, dir, "run", "p.yaml", "--data", fmt.Sprintf("data%d", i))
				cmd.Stderr = &said[i]
				ended <- cmd.Run()
			}()
		}
		for range said {
			if err := <-ended; err != nil {
				t.Errorf("%v: %s, %s", err, said[0].String(), said[1].String())
			}
		}
		sameSums(t, "two commands", sums(t, filepath.Join(dir, "work")), want)
	})
	for _, cancels := range []bool{false, true} {
		t.Run(fmt.Sprintf("two jobs, one cancelled %t", cancels), func(t *testing.T) {
			dir := fresh(t, from)
			s := &tracker{dir: dir, args: []string{"--slots", "2"}}
			s.start(t)
			defer s.cmd.Process.Kill()
			c, ctx := s.client(t), context.Background()
			var runs [2]experiments.Run
			var err error
			for i := range runs {
				if runs[i], err = c.Submit(ctx, config, "", dir); err != nil {
					t.Fatal(err)
				}
			}
			for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				done := 0
				for i := range runs {
					if runs[i], err = c.Run(ctx, runs[i].ID); err != nil {
						t.Fatal(err)
					}
					if runs[i].Status.Done() {
						done++
					}
				}
				if done == len(runs) {
					break
				}
				if trains := len(runs[0].Steps) > 1 && runs[0].Steps[1].Status == experiments.Running; cancels && trains {
					cancels = false
					if _, err := c.Cancel(ctx, runs[0].ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i, r := range runs {
				if r.Status != experiments.Finished && !(i == 0 && r.Status == experiments.Interrupted && strings.Contains(r.Error, "cancelled")) {
					t.Errorf("run %d is %s: %s", i, r.Status, r.Error)
				}
			}
			sameSums(t, "two jobs", sums(t, filepath.Join(dir, "work")), want)
		})
	}
}
