//go:build linux

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
	"triality/server/books"
)

// callAPI calls the API of a server that may have been started again elsewhere.
func callAPI(t *testing.T, s *tracker, method, path string, in, into any, headers ...string) int {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.client(t).URL()+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodGet {
		req.Body = http.NoBody
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		key, value, _ := strings.Cut(h, ": ")
		req.Header.Set(key, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode < 300 && into != nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatalf("%s %s: %d %s: %v", method, path, res.StatusCode, text, err)
	}
	return res.StatusCode
}

// A program writes a cell, runs it, and the server is killed while it trains: the run goes on by itself, what was typed before and
// meanwhile is there, and the cell's output is read.
func TestAServerKilledWhileACellRunsGoesOnAndLosesNothingTyped(t *testing.T) {
	t.Parallel()
	dir := killFolder(t, 1)
	const rest = "---\nname: kill\noutput_dir: work\ndevice: cpu\nthreads: 1\n---\n\n```triality convert id=rows\nbase_model: model\ndata: {input_path: rows.jsonl, max_length: 96}\n```\n"
	if err := os.Mkdir(filepath.Join(dir, "books"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "books", "b.md"), []byte(rest), 0o644); err != nil {
		t.Fatal(err)
	}
	s := &tracker{dir: dir, args: []string{"books"}}
	s.start(t)
	t.Cleanup(func() { s.cmd.Process.Kill() }) // where the test failed

	var cells books.CellTexts
	callAPI(t, s, "GET", "/notebooks/cells?name=b.md", nil, &cells)
	var book books.Book
	write := func(rank int) {
		t.Helper()
		callAPI(t, s, "PUT", "/notebooks/cells", map[string]string{
			"name": "b.md", "id": "tune", "kind": "finetune", "after": "rows",
			"body": fmt.Sprintf("base_model: model\ndataset: ${rows.dataset}\nmax_length: 96\ntraining: {num_train_epochs: 8, per_device_train_batch_size: 1, lora_r: %d, logging_steps: 1, save_steps: 1}\n", rank),
		}, &book, `If-Match: "`+cells.Revision+`"`, "X-Triality-Client: assistant")
		cells.Revision = book.Revision
	}
	write(2)
	var run experiments.Run
	callAPI(t, s, "POST", "/jobs", map[string]any{"config": book.Text, "book": "b.md", "cells": []string{"tune"}}, &run, "X-Triality-Client: assistant")
	wait := func(what string, until func(experiments.Run) bool) experiments.Run {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
			var now experiments.Run
			callAPI(t, s, "GET", "/runs/"+run.ID, nil, &now)
			if until(now) {
				return now
			}
			if now.Status.Done() || time.Now().After(deadline) {
				t.Fatalf("%s: the run is %s: %s", what, now.Status, now.Error)
			}
		}
	}
	wait("a checkpoint", func(experiments.Run) bool {
		found, err := filepath.Glob(filepath.Join(dir, "work/finetune/*/checkpoints/*"))
		return err == nil && len(found) > 0
	})
	write(3) // typed while it runs
	s.kill(t)
	s.start(t)
	end := wait("the end", func(r experiments.Run) bool { return r.Status == experiments.Finished })
	if end.Job == nil || end.Job.Attempt < 2 || end.Tags["client"] != "assistant" {
		t.Errorf("job %+v, tags %v", end.Job, end.Tags)
	}
	var now books.Book
	callAPI(t, s, "GET", "/notebooks/b.md", nil, &now)
	if now.Text != book.Text || !strings.HasPrefix(now.Text, rest) {
		t.Errorf("the notebook says %q, want %q", now.Text, book.Text)
	}
	state := func(text, want string) books.Cell {
		t.Helper()
		var status books.Status
		callAPI(t, s, "POST", "/notebooks/state", map[string]string{"name": "b.md", "text": text}, &status)
		var got []string
		for _, c := range status.Cells {
			got = append(got, c.ID+" "+string(c.State))
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s, want %s", strings.Join(got, ", "), want)
		}
		return status.Cells[len(status.Cells)-1]
	}
	state(now.Text, "rows fresh, tune stale") // by what was typed meanwhile
	cell := state(strings.Replace(now.Text, "lora_r: 3", "lora_r: 2", 1), "rows fresh, tune fresh")
	var points struct {
		Points [][]any `json:"points"`
	}
	callAPI(t, s, "GET", "/runs/"+cell.Run+"/metrics/series?name=train/loss", nil, &points)
	if len(points.Points) == 0 {
		t.Error("the cell's output has no curve")
	}
	s.cmd.Process.Kill()
}
