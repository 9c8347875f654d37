package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"triality/experiments"
)

// BenchmarkWriterBesideEventStreams logs a hundred points a call for three seconds, alone and beside 2,000
// streams of events that are read, and tells both rates.
func BenchmarkWriterBesideEventStreams(b *testing.B) {
	const streams = 2000
	rate := func(streams int) float64 {
		w := newWorld(b, nil)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() { w.Serve(ctx, ln) })
		client := http.Client{Transport: &http.Transport{MaxConnsPerHost: 0}}
		var open sync.WaitGroup
		for range streams {
			open.Add(1)
			wg.Go(func() {
				for first := true; ctx.Err() == nil; { // one that was dropped comes back
					req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+ln.Addr().String()+"/api/v1/events", nil)
					res, err := client.Do(req)
					if first {
						open.Done()
						first = false
					}
					if err == nil {
						io.Copy(io.Discard, res.Body)
						res.Body.Close()
					}
					select {
					case <-ctx.Done():
					case <-time.After(2 * time.Second):
					}
				}
			})
		}
		open.Wait()
		batch := experiments.MetricBatch{"m": make([]experiments.Point, 100)}
		points, start := 0, time.Now()
		for time.Since(start) < 3*time.Second {
			for i := range batch["m"] {
				batch["m"][i].Step = int64(points + i)
			}
			if err := w.store.LogMetrics(ctx, "live", batch); err != nil {
				b.Fatal(err)
			}
			points += 100
		}
		return float64(points) / time.Since(start).Seconds()
	}
	for b.Loop() {
		alone, crowded := rate(0), rate(streams)
		b.ReportMetric(alone, "alone_points/s")
		b.ReportMetric(crowded, "crowded_points/s")
	}
}
