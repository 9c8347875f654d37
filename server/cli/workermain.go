package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"

	"triality/experiments"
	"triality/experiments/pipeline"
	"triality/runtime/disk"
	"triality/runtime/hub"
	"triality/server/worker"
)

// WorkerMain is the program of a job's worker; it gives the exit status. What it prints is the job's log.
func WorkerMain(stdin io.Reader, stdout io.WriteCloser, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stderr, stderr: stderr}
	return worker.Main(stdin, stdout, func(ctx context.Context, job worker.Job, tracker experiments.Tracker) (err error) {
		spec, err := pipeline.ParseSpec("config", []byte(job.Config))
		if err != nil {
			return err
		}
		if err := keepTo(spec, job.Root); err != nil {
			return err
		}
		if job.Plan {
			steps, err := planHere(ctx, tracker, spec, newTerminal(stderr), e.logger(slog.LevelInfo))
			if err != nil {
				return err
			}
			text, err := json.Marshal(steps)
			if err != nil {
				return err
			}
			_, err = tracker.SaveArtifact(ctx, job.RunID, "plan.json", "application/json", bytes.NewReader(text))
			return err
		}
		runner, closeRunner, err := openRunner(tracker, spec, job.Devices, e.logger(slog.LevelInfo))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeRunner()) }()
		runner.Watcher = newTerminal(stderr)
		runner.Engine.Room.Process = job.Memory
		_, _, err = runner.RunSpec(ctx, spec, pipeline.RunOptions{RunID: job.RunID, Resume: job.Resume})
		return err
	})
}

// keepTo makes this process keep to a data root and the Hub's cache; an empty one is none.
func keepTo(spec pipeline.Spec, root string) error {
	if root == "" {
		return nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := pipeline.CheckPaths(spec, dir, root); err != nil {
		return err
	}
	cache, err := hub.FromEnv(os.Getenv)
	if err != nil {
		return experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	return disk.Confine(root, cache.CacheDir)
}
