package store

import (
	"context"
	"fmt"
	"io"

	"triality/experiments"
	"triality/server/search"
)

var _ experiments.RunReader = (*Store)(nil)

// maxRead bounds a file and a series that RunReader gives.
const (
	maxReadFile   = 256 << 20
	maxReadPoints = 1_000_000
)

// FindRuns implements experiments.RunReader. Each row begins with the run's name, its experiment and its status.
func (s *Store) FindRuns(ctx context.Context, q experiments.RunQuery) (experiments.Rows, error) {
	query, err := search.Request{Filter: q.Filter, OrderBy: q.OrderBy, Columns: q.Columns, Limit: q.Limit}.Query()
	if err != nil {
		return experiments.Rows{}, err
	}
	found, err := s.Search(ctx, query)
	if err != nil {
		return experiments.Rows{}, err
	}
	out := experiments.Rows{Columns: append([]string{"name", "experiment", "status"}, q.Columns...), Rows: [][]any{}, Total: found.Total}
	for _, r := range found.Items {
		row := []any{r.Name, r.Experiment, string(r.Status)}
		for _, c := range found.Columns {
			row = append(row, r.Values[c])
		}
		out.Rows, out.Runs = append(out.Rows, row), append(out.Runs, r.ID)
	}
	for _, n := range found.Notes {
		out.Notes = append(out.Notes, n.Message)
	}
	return out, nil
}

// RunSeries implements experiments.RunReader.
func (s *Store) RunSeries(ctx context.Context, run, metric string) (out []experiments.Point, err error) {
	err = s.Points(ctx, run, metric, func(total int64, part []experiments.Point) error {
		if total > maxReadPoints {
			return experiments.Errorf(experiments.CodeTooLarge, "run %s: %s has %d points, of at most %d", run, metric, total, maxReadPoints)
		}
		out = append(out, part...)
		return nil
	})
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		_, err = s.Run(ctx, run) // a run without the series is none without points
	}
	return out, err
}

// RunFile implements experiments.RunReader.
func (s *Store) RunFile(ctx context.Context, run, path string) ([]byte, error) {
	a, f, err := s.OpenArtifact(ctx, run, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if a.Size > maxReadFile {
		return nil, experiments.Errorf(experiments.CodeTooLarge, "run %s: %s has %d bytes, of at most %d", run, path, a.Size, maxReadFile)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxReadFile))
	if err != nil {
		return nil, fmt.Errorf("artifact %q of run %s: %w", path, run, err)
	}
	return b, nil
}
