package store

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
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

// beside runs others until the benchmark's own work is done, and tells how many each did.
func beside(n int, work func(i, round int)) (stop func() int) {
	var wg sync.WaitGroup
	var done atomic.Int64
	end := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-end:
					return
				default:
					work(i, round)
					done.Add(1)
				}
			}
		})
	}
	return func() int { close(end); wg.Wait(); return int(done.Load()) }
}

// BenchmarkBesideRefusedWriters has four clients log a hundred points a call, alone and beside 64 that
// log to a run that is not there.
func BenchmarkBesideRefusedWriters(b *testing.B) {
	batch := func(round int) experiments.MetricBatch {
		p := make([]experiments.Point, 100)
		for i := range p {
			p[i] = experiments.Point{Step: int64(round*100 + i), Time: 1.7e12}
		}
		return experiments.MetricBatch{"loss": p}
	}
	rate := func(refused int) float64 {
		s, e := fresh(b, Options{})
		for i := range 4 {
			save(b, s, experiments.Run{ID: fmt.Sprint("w", i), ExperimentID: e})
		}
		stop := beside(refused, func(i, round int) { _ = s.LogMetrics(ctx, "missing", batch(round)) })
		start := time.Now()
		good := beside(4, func(i, round int) {
			if err := s.LogMetrics(ctx, fmt.Sprint("w", i), batch(round)); err != nil {
				b.Error(err)
			}
		})
		time.Sleep(3 * time.Second)
		points := good() * 100
		took := time.Since(start)
		stop()
		return float64(points) / took.Seconds()
	}
	for b.Loop() {
		alone, crowded := rate(0), rate(64)
		b.ReportMetric(alone, "alone_points/s")
		b.ReportMetric(crowded, "crowded_points/s")
	}
}

// BenchmarkBesideADeletion removes an experiment of 20,000 runs while a client logs, and tells the longest
// that one of its writes took.
func BenchmarkBesideADeletion(b *testing.B) {
	for b.Loop() {
		s, _ := fresh(b, Options{})
		e := experiment(b, s, "many")
		var wg sync.WaitGroup
		const writers, each = 200, 100
		for i := range writers {
			wg.Go(func() {
				for n := range each {
					id := fmt.Sprint("d", i, ".", n)
					save(b, s, experiments.Run{ID: id, ExperimentID: e.ID, Status: experiments.Finished})
					p := []experiments.Point{{Step: 1, Value: 1}, {Step: 2, Value: 2}}
					if err := s.LogMetrics(ctx, id, experiments.MetricBatch{"a": p, "b": p, "c": p}); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		longest := time.Duration(0)
		stop := beside(1, func(_, round int) {
			start := time.Now()
			if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"loss": {{Step: int64(round)}}}); err != nil {
				b.Error(err)
			}
			longest = max(longest, time.Since(start))
		})
		start := time.Now()
		if err := s.PurgeExperiment(ctx, e.ID); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		stop()
		b.ReportMetric(took.Seconds(), "deletion_s")
		b.ReportMetric(longest.Seconds(), "longest_write_s")
	}
}

// BenchmarkTagOfARunWithManySeries sets a tag of a run with 180,000 series, and tells how long another
// client's write waits meanwhile.
func BenchmarkTagOfARunWithManySeries(b *testing.B) {
	s, _ := fresh(b, Options{})
	for n := 0; n < 180_000; n += 5000 {
		batch := experiments.MetricBatch{}
		for i := range 5000 {
			batch[fmt.Sprint("layer/", n+i, "/norm")] = []experiments.Point{{Step: 1, Value: 1}}
		}
		if err := s.LogMetrics(ctx, "r", batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for b.Loop() {
		_, err := s.UpdateRun(ctx, "r", func(r *experiments.Run) error {
			r.Tags = map[string]string{"t": "v"}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	stop := beside(1, func(int, int) {
		s.UpdateRun(ctx, "r", func(r *experiments.Run) error { return nil })
	})
	const writes = 20
	start := time.Now()
	for i := range writes {
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"layer/0/norm": {{Step: int64(i + 2)}}}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(time.Since(start).Seconds()/writes, "beside_write_s")
	stop()
}
