package pipeline

import (
	"context"
	"fmt"
	"path/filepath"

	"triality/experiments/dataset"
	"triality/experiments/graph"
	"triality/experiments/kinds/convert"
	"triality/runtime/disk"
	"triality/runtime/hub"
)

// ConvertOptions configures Convert.
type ConvertOptions = convert.Options

// Convert writes four-class rows as a Hugging Face dataset.
func (e *Engine) Convert(ctx context.Context, o ConvertOptions, sink Sink) error {
	rows := o.Rows
	if rows == nil {
		var err error
		if rows, err = dataset.Prepare(ctx, o.Options, sink); err != nil {
			return trainError(err)
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
	summary, err := rows.Convert(ctx, filepath.Join(o.OutDir, "dataset"), enc, o.Options, sink)
	if err != nil {
		return trainError(err)
	}
	sink.Note(fmt.Sprintf("%s in %s; %d skipped, %d dropped, %d near-duplicates, %d leaks across splits",
		plural(summary.Rows, "row"), plural(summary.Groups, "group"), summary.Skipped, summary.Dropped, summary.Duplicates, summary.Leaks))
	return graph.WriteJSON(filepath.Join(o.OutDir, convert.SummaryName), summary)
}
