package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

// extentOf is a series' extent by the plainest reading.
func extentOf(points []experiments.Point) extent {
	e := noExtent
	for _, p := range points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue
		}
		e.finite++
		if e.finite == 1 || p.Value < e.least {
			e.least, e.leastStep = p.Value, p.Step
		}
		if e.finite == 1 || p.Value > e.greatest {
			e.greatest, e.greatestStep = p.Value, p.Step
		}
	}
	sum, n := 0.0, 0.0
	for _, p := range points[max(0, len(points)-10):] {
		if !math.IsNaN(p.Value) && !math.IsInf(p.Value, 0) {
			sum, n = sum+p.Value, n+1
		}
	}
	e.mean = sum / n
	return e
}

func near(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-9*math.Abs(b)
}

func TestAHeadSaysWhatItsPointsAreHoweverTheyWereBatched(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	nan, inf := math.NaN(), math.Inf(1)
	for name, value := range map[string]func(i int) float64{
		"numbers":        func(int) float64 { return r.NormFloat64() },
		"some diverge":   func(int) float64 { return []float64{r.NormFloat64(), nan, inf, -inf}[r.IntN(4)] },
		"NaN at the end": func(i int) float64 { return []float64{float64(i), nan}[min(i/570, 1)] },
		"nothing finite": func(int) float64 { return nan },
		"very large":     func(int) float64 { return math.MaxFloat64 },
	} {
		for _, size := range []int{1, 3, 10, 256, 1000} {
			t.Run(name, func(t *testing.T) {
				s, _ := fresh(t, Options{})
				var all []experiments.Point
				for len(all) < 600 {
					var batch []experiments.Point
					for range size {
						n := len(all) + len(batch)
						batch = append(batch, experiments.Point{Step: int64(n), Time: int64(n), Value: value(n)})
					}
					if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": batch}); err != nil {
						t.Fatal(err)
					}
					all = append(all, batch...)
				}
				list, err := s.Series(ctx, "r")
				if err != nil || len(list) != 1 {
					t.Fatal(list, err)
				}
				var got head
				s.view(ctx, func(tx *bbolt.Tx) error {
					got, err = decodeHead(tx.Bucket(bucketSeries).Get(key("r", "m")))
					return err
				})
				want := extentOf(all)
				e := got.extent
				if e.finite != want.finite || !near(e.least, want.least) || !near(e.greatest, want.greatest) ||
					e.leastStep != want.leastStep || e.greatestStep != want.greatestStep || !near(e.mean, want.mean) && !math.IsInf(want.mean, 0) {
					t.Errorf("batches of %d: %+v, want %+v", size, e, want)
				}
				if info := list[0]; (info.Least == nil) != (want.finite == 0) || info.Finite != int64(want.finite) || info.Least != nil && info.Least.Value != want.least {
					t.Errorf("the list says %+v of %+v", info, want)
				}
				sound(t, s)
			})
		}
	}
}

// toFormat2 makes an open store's file what version 2 would have written, and closes it.
func toFormat2(t *testing.T, s *Store) {
	t.Helper()
	err := s.db.Update(func(tx *bbolt.Tx) error {
		series := tx.Bucket(bucketSeries)
		var keys [][]byte
		series.ForEach(func(k, _ []byte) error { keys = append(keys, bytes.Clone(k)); return nil })
		for _, k := range keys {
			if err := series.Put(k, bytes.Clone(series.Get(k)[:headBytes2])); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(keyFormat, []byte{2, 0, 0, 0})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFileOfFormat2IsBroughtToFormat3(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	for _, run := range []string{"a", "b"} {
		save(t, s, experiments.Run{ID: run, ExperimentID: e.ID})
		batch := experiments.MetricBatch{}
		for i := range 1500 { // more than are gone through at once
			batch[fmt.Sprintf("m%04d", i)] = []experiments.Point{{Step: 1, Value: float64(i)}, {Step: 2, Value: math.NaN()}, {Step: 3, Value: -float64(i)}}
		}
		if err := s.LogMetrics(ctx, run, batch); err != nil {
			t.Fatal(err)
		}
	}
	heads := func(s *Store) map[string]head {
		out := map[string]head{}
		s.view(ctx, func(tx *bbolt.Tx) error {
			return tx.Bucket(bucketSeries).ForEach(func(k, v []byte) error {
				h, err := decodeHead(v)
				out[string(k)] = h
				return err
			})
		})
		return out
	}
	want := heads(s)
	toFormat2(t, s)

	// A migration that does not come to its end changes nothing.
	cut := errors.New("cut short")
	if _, err := Open(dir, Options{endMigration: func() error { return cut }}); !errors.Is(err, cut) {
		t.Fatal(err)
	}
	db, err := bbolt.Open(dir+"/"+FileName, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.View(func(tx *bbolt.Tx) error {
		if n := formatOf(tx); n != 2 || len(tx.Bucket(bucketSeries).Get(key("a", "m0000"))) != headBytes2 {
			t.Errorf("a migration that failed left format %d", n)
		}
		return nil
	})
	db.Close()
	if copied, err := os.ReadFile(dir + "/" + FileName + ".v2"); err != nil || len(copied) == 0 {
		t.Errorf("the file was not copied first: %v", err)
	}

	s = open(t, dir, Options{})
	got := heads(s)
	if len(got) != len(want) {
		t.Fatalf("%d series, want %d", len(got), len(want))
	}
	for k, h := range want {
		if !bytes.Equal(got[k].encode(), h.encode()) {
			t.Errorf("series %q: %+v, want %+v", k, got[k], h)
		}
	}
	sound(t, s)
}

func TestASeriesThatCannotBeReadKeepsItsHeadWhenTheFormatChanges(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"bad": {{Step: 1, Value: 1}}, "good": {{Step: 1, Value: 2}}}); err != nil {
		t.Fatal(err)
	}
	s.db.Update(func(tx *bbolt.Tx) error {
		h, err := decodeHead(tx.Bucket(bucketSeries).Get(key("r", "bad")))
		if err != nil {
			return err
		}
		return tx.Bucket(bucketPoints).Put(chunkKey(h.id, 0), []byte("rubbish"))
	})
	toFormat2(t, s)
	s = open(t, dir, Options{})
	list, err := s.Series(ctx, "r")
	if err != nil || len(list) != 2 || list[0].Least != nil || list[1].Least == nil || list[1].Least.Value != 2 {
		t.Errorf("series %+v, error %v", list, err)
	}
	if problems, err := s.Check(ctx); err != nil || len(problems) != 1 {
		t.Errorf("problems %v, error %v", problems, err)
	}
}
