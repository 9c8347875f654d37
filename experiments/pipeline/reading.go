package pipeline

import (
	"context"
	"sync"
	"time"

	"triality/experiments"
	"triality/runtime/model"
)

// reading is weights whose reading ends when ctx does and is told to sink under note, for a large model
// is minutes on its way.
func reading(ctx context.Context, sink Sink, note string, weights model.Source) model.Source {
	now := time.Now()
	return &watched{Source: model.WithContext(ctx, weights), sink: sink, note: note, total: int64(model.Elements(weights)), began: now, told: now}
}

type watched struct {
	model.Source
	sink  Sink
	note  string
	total int64

	mu          sync.Mutex
	done        int64
	began, told time.Time
}

// tellEvery is how often progress is told.
const tellEvery = 250 * time.Millisecond

func (w *watched) ReadAt(name string, dst []float32, at int) error {
	if err := w.Source.ReadAt(name, dst, at); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done += int64(len(dst))
	now := time.Now()
	if now.Sub(w.told) < tellEvery || w.done > w.total { // the digest may read some again
		return nil
	}
	w.told = now
	const million = 1e6
	w.sink.Progress(experiments.Progress{
		Done: w.done / million, Total: w.total / million, Unit: "million weights",
		Rate: float64(w.done) / million / now.Sub(w.began).Seconds(), Note: w.note,
	})
	return nil
}
