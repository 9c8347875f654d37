package pipeline

import (
	"context"

	"triality/experiments"
)

// reader is the tracker, where its runs can be read.
func (h host) reader() (experiments.RunReader, error) {
	if r, ok := h.Tracker.(experiments.RunReader); ok {
		return r, nil
	}
	return nil, experiments.Errorf(experiments.CodeUnavailable, "the runs of this tracker cannot be read")
}

// FindRuns implements experiments.RunReader for the kinds that read runs, and so do the two below.
func (h host) FindRuns(ctx context.Context, q experiments.RunQuery) (experiments.Rows, error) {
	r, err := h.reader()
	if err != nil {
		return experiments.Rows{}, err
	}
	return r.FindRuns(ctx, q)
}

func (h host) RunSeries(ctx context.Context, run, metric string) ([]experiments.Point, error) {
	r, err := h.reader()
	if err != nil {
		return nil, err
	}
	return r.RunSeries(ctx, run, metric)
}

func (h host) RunFile(ctx context.Context, run, path string) ([]byte, error) {
	r, err := h.reader()
	if err != nil {
		return nil, err
	}
	return r.RunFile(ctx, run, path)
}
