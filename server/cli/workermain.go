package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"triality/experiments"
	"triality/experiments/config"
	"triality/experiments/pipeline"
	"triality/server/worker"
)

// WorkerMain is the program of a job's worker; it gives the exit status. What it prints is the job's log.
func WorkerMain(stdin io.Reader, stdout io.WriteCloser, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stderr, stderr: stderr}
	return worker.Main(stdin, stdout, func(ctx context.Context, job worker.Job, tracker experiments.Tracker) (err error) {
		cfg, err := config.Parse("config", []byte(job.Config))
		if err != nil {
			return err
		}
		card := 0
		if len(job.Devices) > 0 {
			card = job.Devices[0]
		}
		runner, closeRunner, err := openRunner(tracker, cfg, card, e.logger(slog.LevelInfo))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeRunner()) }()
		runner.Watcher = newTerminal(stderr)
		runner.Engine.Room.Process = job.Memory
		_, _, err = runner.Run(ctx, cfg, pipeline.RunOptions{RunID: job.RunID, Resume: job.Resume, YAML: job.Config})
		return err
	})
}
