package store

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"triality/experiments"
)

func points(t testing.TB, s *Store, run, name string) (out []experiments.Point) {
	t.Helper()
	err := s.Points(ctx, run, name, func(total int64, part []experiments.Point) error {
		out = append(out, part...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func samePoints(a, b []experiments.Point) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Step != b[i].Step || a[i].Time != b[i].Time || math.Float64bits(a[i].Value) != math.Float64bits(b[i].Value) {
			return false
		}
	}
	return true
}

func TestPointsComeBackExactlyHoweverTheyWereBatched(t *testing.T) {
	odd := []experiments.Point{
		{Step: math.MinInt64, Time: math.MaxInt64, Value: math.NaN()},
		{Step: math.MaxInt64, Time: math.MinInt64, Value: math.Inf(-1)},
		{Step: 0, Time: 0, Value: math.Copysign(0, -1)},
		{Step: -1, Time: 1, Value: math.Float64frombits(0x7ff8000000000123)},
		{Step: 5, Value: math.SmallestNonzeroFloat64},
	}
	for _, size := range []int{1, 5, 255, 256, 257, 2000} {
		t.Run(fmt.Sprint("batches of ", size), func(t *testing.T) {
			s, _ := fresh(t, Options{})
			rng := rand.New(rand.NewPCG(1, uint64(size)))
			var want []experiments.Point
			for n := 0; len(want) < 20*size && n < 60; n++ {
				batch := odd
				if n > 0 {
					batch = make([]experiments.Point, size)
					for i := range batch {
						batch[i] = experiments.Point{Step: int64(len(want) + i), Time: 1700000000000 + rng.Int64N(1e9), Value: rng.NormFloat64()}
					}
				}
				if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"train/loss": batch}); err != nil {
					t.Fatal(err)
				}
				want = append(want, batch...)
			}
			if got := points(t, s, "r", "train/loss"); !samePoints(got, want) {
				t.Errorf("%d points came back, or not the same, of %d", len(got), len(want))
			}
			infos, err := s.Series(ctx, "r")
			if err != nil || len(infos) != 1 || infos[0].Count != int64(len(want)) || infos[0].Last != want[len(want)-1] {
				t.Errorf("series %+v, error %v", infos, err)
			}
			sound(t, s)
		})
	}
}

func TestSeriesOfRunsWithSimilarNamesAreApart(t *testing.T) {
	s, e := fresh(t, Options{})
	save(t, s, experiments.Run{ID: "r.1", ExperimentID: e})
	batch := experiments.MetricBatch{}
	for i, n := range []string{"a", "a/b", "ab", "A", "日本"} {
		batch[n] = []experiments.Point{{Value: float64(i)}}
	}
	if err := s.LogMetrics(ctx, "r", batch); err != nil {
		t.Fatal(err)
	}
	if err := s.LogMetrics(ctx, "r.1", experiments.MetricBatch{"a": {{Value: 9}}}); err != nil {
		t.Fatal(err)
	}
	for n, want := range batch {
		if got := points(t, s, "r", n); !samePoints(got, want) {
			t.Errorf("%s: %v", n, got)
		}
	}
	r, err := s.Run(ctx, "r")
	if err != nil || len(r.Summary) != 5 || r.Summary["日本"] != 4 || r.Summary["a"] != 0 {
		t.Errorf("summary %v, error %v", r.Summary, err)
	}
}

func TestBadMetricsAreRefusedWhole(t *testing.T) {
	s, _ := fresh(t, Options{})
	one := []experiments.Point{{Value: 1}}
	for why, b := range map[string]experiments.MetricBatch{
		"an empty name": {"ok": one, "": one}, "a zero byte": {"ok": one, "a\x00": one}, "not UTF-8": {"ok": one, "\xff": one},
	} {
		if err := s.LogMetrics(ctx, "r", b); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%s: error %v", why, err)
		}
	}
	code(t, s.LogMetrics(ctx, "nope", experiments.MetricBatch{"a": one}), experiments.CodeNotFound)
	code(t, s.LogMetrics(ctx, "nope", nil), experiments.CodeNotFound)
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"a": nil}); err != nil {
		t.Errorf("a batch without points: %v", err)
	}
	if infos, err := s.Series(ctx, "r"); err != nil || len(infos) != 0 {
		t.Errorf("something was stored: %v, error %v", infos, err)
	}
	_, err := s.Series(ctx, "nope")
	code(t, err, experiments.CodeNotFound)
	code(t, s.Points(ctx, "r", "nope", nil), experiments.CodeNotFound)
}

func TestALargeBatchMakesSeveralEventsThatTogetherCarryIt(t *testing.T) {
	s, _ := fresh(t, Options{})
	w, err := s.Watch(ctx, WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	batch := experiments.MetricBatch{"a": make([]experiments.Point, 1500), "b": make([]experiments.Point, 700)}
	batch["a"][3].Value = math.NaN()
	if err := s.LogMetrics(ctx, "r", batch); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	events := 0
	for count["a"]+count["b"] < 2200 {
		ev, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if events++; len(ev.Data) > 2*eventBytes {
			t.Errorf("an event of %d bytes", len(ev.Data))
		}
		var part map[string][]struct{ Value *float64 }
		if err := json.Unmarshal(ev.Data, &part); err != nil {
			t.Fatal(err)
		}
		for n, p := range part {
			if n == "a" && count["a"] == 0 && (p[3].Value != nil || p[2].Value == nil) {
				t.Error("NaN did not become null")
			}
			count[n] += len(p)
		}
	}
	if events < 2 {
		t.Errorf("%d events", events)
	}
	if count["a"] != 1500 || count["b"] != 700 {
		t.Errorf("events carried %v", count)
	}
}

func FuzzDecodeChunk(f *testing.F) {
	c := newChunk()
	for i := range 5 {
		c.add(experiments.Point{Step: int64(i), Time: 1e12, Value: math.NaN()})
	}
	f.Add(c.seal())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		fixed := &chunk{b: append([]byte(nil), b...)} // a right checksum, so that the fuzzer gets past it
		if len(b) >= chunkHeader {
			fixed.count = int(b[4]) | int(b[5])<<8
			fixed.seal()
		}
		got, err := decodeChunk(nil, fixed.b)
		if err != nil {
			return
		}
		again := newChunk()
		for _, p := range got {
			again.add(p)
		}
		back, err := decodeChunk(nil, again.seal())
		if err != nil || !samePoints(got, back) {
			t.Errorf("%v became %v, error %v", got, back, err)
		}
		decodeChunk(nil, b) // must not panic with any checksum
	})
}
