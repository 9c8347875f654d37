package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"strings"

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
		if err := keepTo(spec, job.Root, job.Shared); err != nil {
			return err
		}
		log := e.logger(slog.LevelInfo)
		results, err := openShared(ctx, job.Shared, log)
		if err != nil {
			return err
		}
		if job.Plan {
			steps, err := planHere(ctx, tracker, spec, results, newTerminal(stderr), log)
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
		runner, closeRunner, err := openRunner(tracker, spec, job.Devices, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeRunner()) }()
		runner.Watcher, runner.Shared = newTerminal(stderr), results
		runner.Engine.Room.Process = job.Memory
		_, _, err = runner.RunSpec(ctx, spec, pipeline.RunOptions{RunID: job.RunID, Resume: job.Resume})
		return err
	})
}

// keepTo makes this process keep to a data root, the Hub's cache and the folder of shared results; an empty root is none.
func keepTo(spec pipeline.Spec, root string, results worker.Shared) error {
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
	if results.Where != "" && !strings.Contains(results.Where, "://") {
		return disk.Confine(root, cache.CacheDir, results.Where)
	}
	return disk.Confine(root, cache.CacheDir)
}
