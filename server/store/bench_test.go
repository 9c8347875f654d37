package store

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"triality/experiments"
)

// BenchmarkGroupCommit logs single points from 64 writers, once with group commits and once with one
// commit each, and reports their ratio in the same run.
func BenchmarkGroupCommit(b *testing.B) {
	const writers = 64
	rate := func(o Options) float64 {
		s, e := fresh(b, o)
		for i := range writers {
			save(b, s, experiments.Run{ID: fmt.Sprint("w", i), ExperimentID: e})
		}
		var wg sync.WaitGroup
		per := max(b.N/writers, 1)
		start := time.Now()
		for i := range writers {
			wg.Go(func() {
				for n := range per {
					if err := s.LogMetrics(ctx, fmt.Sprint("w", i), experiments.MetricBatch{"loss": {{Step: int64(n), Value: 1}}}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return float64(per*writers) / time.Since(start).Seconds()
	}
	group := rate(Options{})
	single := rate(Options{GroupRecords: 1})
	b.ReportMetric(group, "group_points/s")
	b.ReportMetric(single, "single_points/s")
	b.ReportMetric(group/single, "ratio")
	line, err := json.Marshal(map[string]any{"benchmark": "group commit", "writers": writers, "points": b.N,
		"group_per_s": group, "single_per_s": single, "ratio": group / single})
	if err != nil {
		b.Fatal(err)
	}
	b.Log(string(line))
}

// BenchmarkBatchOfThousand logs a thousand points a call from one writer.
func BenchmarkBatchOfThousand(b *testing.B) {
	s, _ := fresh(b, Options{})
	batch := make([]experiments.Point, 1000)
	for i := range batch {
		batch[i] = experiments.Point{Step: int64(i), Time: 1.7e12, Value: float64(i)}
	}
	b.ResetTimer()
	for b.Loop() {
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"loss": batch}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "points/s")
}
