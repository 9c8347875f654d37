package pipeline

import (
	"time"

	"triality/experiments"
	"triality/runtime/model"
)

// reading is weights whose reading is told to sink under note.
func reading(sink Sink, note string, weights model.Source) model.Source {
	began := time.Now()
	return model.Watch(weights, func(done, total int) {
		p := weightsRead(note, done, total)
		p.Rate = float64(p.Done) / time.Since(began).Seconds()
		sink.Progress(p)
	})
}

// weightsRead is progress in millions of weights.
func weightsRead(note string, done, total int) experiments.Progress {
	const million = 1_000_000
	return experiments.Progress{Done: int64(done / million), Total: int64(total / million), Unit: "million weights", Note: note}
}
