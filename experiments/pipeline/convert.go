package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"triality/experiments"
	"triality/experiments/dataset"
	"triality/runtime/disk"
	"triality/runtime/hub"
)

// ConvertOptions configures Convert.
type ConvertOptions struct {
	Options   dataset.Options
	Rows      *dataset.Prepared // nil: read from Options.InputPath
	BaseModel string            // folder or "org/name" of the Hub whose tokenizer is used; empty: not tokenized
	OutDir    string            // gets dataset/ and summary.json
}

// Convert writes four-class rows as a Hugging Face dataset.
func (e *Engine) Convert(ctx context.Context, o ConvertOptions, sink Sink) error {
	rows := o.Rows
	if rows == nil {
		var err error
		if rows, err = dataset.Prepare(o.Options); err != nil {
			return err
		}
	}
	var enc dataset.Encoder
	if o.BaseModel != "" {
		base, err := e.Locate(ctx, o.BaseModel, hub.TokenizerFiles, sink)
		if err != nil {
			return err
		}
		tok, err := loadTokenizer(base.Dir)
		if err != nil {
			return err
		}
		enc = tok
	}
	if err := disk.MkdirAll(o.OutDir, 0o755); err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	summary, err := rows.Convert(ctx, filepath.Join(o.OutDir, "dataset"), enc, o.Options, func(done, total int) {
		sink.Progress(experiments.Progress{Done: int64(done), Total: int64(total), Unit: "rows"})
	})
	if err != nil {
		return err
	}
	for _, p := range summary.Problems {
		sink.Note("skipped " + p)
	}
	sink.Note(fmt.Sprintf("%s in %s; %d skipped, %d dropped, %d near-duplicate pairs, %d of them across splits",
		plural(summary.Rows, "row"), plural(summary.Groups, "group"), summary.Skipped, summary.Dropped, summary.Duplicates, summary.Leaks))
	return writeJSON(filepath.Join(o.OutDir, summaryName), summary)
}
