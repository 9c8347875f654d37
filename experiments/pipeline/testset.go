package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/dataset"
)

// testSet is the rows of an A/B test, and the training rows where they are known.
type testSet struct {
	rows, train []dataset.Row
	facts       experiments.TestSet
}

// readTestSet reads the rows to test on and checks them against the training rows: those of o.TrainData, or where that
// is empty of the dataset whose test split is used. Otherwise nothing is known of them, and the result says so.
func readTestSet(ctx context.Context, o ABTestOptions, sink Sink) (*testSet, error) {
	t := &testSet{facts: experiments.TestSet{Path: o.TestData}}
	from := o.TrainData
	if isDataset(o.TestData) {
		splits, err := dataset.Open(o.TestData)
		if err != nil {
			return nil, err
		}
		s := splits["test"]
		if s == nil || len(s.Rows) == 0 {
			return nil, experiments.Errorf(experiments.CodeInvalid, "dataset %s: the test split is empty; raise data.test_ratio or name test.test_data_path", o.TestData)
		}
		t.rows = s.Rows
		if train := splits["train"]; train != nil && (from == "" || filepath.Clean(from) == filepath.Clean(o.TestData)) {
			t.train, from = train.Rows, ""
		}
	} else {
		rows, err := dataset.Read(ctx, o.TestData, o.Strict, sink)
		if err != nil {
			return nil, err
		}
		t.rows, t.facts.Skipped, t.facts.Problems = rows.Rows, rows.Skipped, rows.Problems
	}
	t.facts.Rows = len(t.rows)
	if from != "" {
		var err error
		if t.train, err = trainingRows(ctx, from, o.Strict, sink); err != nil {
			return nil, err
		}
	}
	if len(t.train) == 0 {
		t.facts.Reason = "the training data is not known; name it with --train-data"
		sink.Note(t.facts.Sentence())
		return t, nil
	}
	return t, t.check(ctx, sink)
}

func isDataset(path string) bool { return exists(filepath.Join(path, "dataset_dict.json")) }

// trainingRows are the train split of a dataset folder, or the rows of JSONL files.
func trainingRows(ctx context.Context, path string, strict bool, sink Sink) ([]dataset.Row, error) {
	if !isDataset(path) {
		rows, err := dataset.Read(ctx, path, strict, sink)
		if err != nil {
			return nil, fmt.Errorf("training data: %w", err)
		}
		return rows.Rows, nil
	}
	splits, err := dataset.Open(path)
	if err != nil {
		return nil, fmt.Errorf("training data: %w", err)
	}
	if splits["train"] == nil || len(splits["train"].Rows) == 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "training data: the dataset %s has no train split", path)
	}
	return splits["train"].Rows, nil
}

// check compares the rows with the training rows.
func (t *testSet) check(ctx context.Context, sink Sink) error {
	refs := func(rows []dataset.Row) []*dataset.Row {
		out := make([]*dataset.Row, len(rows))
		for i := range rows {
			out[i] = &rows[i]
		}
		return out
	}
	found, err := dataset.Compare(ctx, refs(t.train), refs(t.rows), nil)
	if err != nil {
		return trainError(err)
	}
	f := &t.facts
	f.Checked, f.TrainRows = true, len(t.train)
	f.InTraining, f.SameGroup, f.NearDuplicates, f.Unproven = found.Either, found.Group, found.Near, found.Unproven
	if !f.Held() {
		sink.Note(f.Sentence())
	}
	return nil
}
