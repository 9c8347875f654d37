package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"triality/experiments"
)

func TestATextMayBeAsLongAsItsLimitAndNoLonger(t *testing.T) {
	s, _ := fresh(t, Options{})
	for name, tt := range map[string]struct {
		limit int
		put   func(text string) error
	}{
		"an experiment's name": {MaxName, func(text string) error {
			_, err := s.EnsureExperiment(ctx, text)
			return err
		}},
		"an artifact's path": {MaxArtifactPath, func(text string) error {
			_, err := s.SaveArtifact(ctx, "r", text, "", strings.NewReader("x"))
			return err
		}},
		"a metric's name": {MaxMetricName, func(text string) error {
			return s.LogMetrics(ctx, "r", experiments.MetricBatch{text: {{Step: 1}}})
		}},
		"an idempotency key": {MaxRequestKey, func(text string) error {
			c, _ := keyed(text, "")
			return s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: 1}}})
		}},
	} {
		if err := tt.put(strings.Repeat("n", tt.limit)); err != nil {
			t.Errorf("%s of %d bytes: %v", name, tt.limit, err)
		}
		code(t, tt.put(strings.Repeat("n", tt.limit+1)), experiments.CodeInvalid)
		code(t, tt.put("\x01n"), experiments.CodeInvalid, "control character at byte 0")
	}
}

func TestOptionsThatAreNotSetHaveTheirDefaults(t *testing.T) {
	for _, o := range []Options{{}, {GroupRecords: -1, GroupDelay: -1, EventLog: -1, EventLogBytes: -1, LockTimeout: -1}} {
		d := o.withDefaults()
		if d.GroupRecords != 1000 || d.GroupDelay != 2*time.Millisecond || d.EventLog != 10_000 || d.EventLogBytes != 8<<20 ||
			d.LockTimeout != time.Second || d.Logger == nil || d.leastSpace != 4<<20 {
			t.Errorf("%+v became %+v", o, d)
		}
	}
	if d := (Options{GroupRecords: 1, GroupDelay: 1, EventLog: 1, EventLogBytes: 1, LockTimeout: 1}).withDefaults(); d.GroupRecords != 1 || d.GroupDelay != 1 || d.EventLog != 1 || d.EventLogBytes != 1 || d.LockTimeout != 1 {
		t.Errorf("what is set became %+v", d)
	}
}

func TestAChunkIsFullAtItsPointsOrItsBytes(t *testing.T) {
	small, large := newChunk(), newChunk()
	for i := int64(0); !small.full(); i++ {
		small.add(experiments.Point{Step: i})
	}
	for i := 0; !large.full(); i++ {
		large.add(experiments.Point{Step: int64(i%2) * math.MaxInt64, Time: int64(i%2) * math.MaxInt64})
	}
	if small.count != maxChunkPoints || len(small.b) >= maxChunkBytes {
		t.Errorf("small points: %d of %d bytes", small.count, len(small.b))
	}
	if large.count >= maxChunkPoints || len(large.b) < maxChunkBytes || len(large.b) >= maxChunkBytes+28 {
		t.Errorf("large points: %d of %d bytes", large.count, len(large.b))
	}
	for _, c := range []*chunk{{count: maxChunkPoints}, {b: make([]byte, maxChunkBytes)}} {
		if !c.full() {
			t.Errorf("%d points of %d bytes are not full", c.count, len(c.b))
		}
	}
}

func TestAChunkThatEndsEarlyIsAnErrorWhereverItEnds(t *testing.T) {
	if got, err := decodeChunk(nil, newChunk().seal()); err != nil || len(got) != 0 {
		t.Errorf("a chunk without points: %v, %v", got, err)
	}
	whole := newChunk()
	for i := range 3 {
		whole.add(experiments.Point{Step: 1000 * int64(i), Time: 1_000_000 * int64(i), Value: 0.1})
	}
	whole.seal()
	for n := chunkHeader; n < len(whole.b); n++ {
		cut := &chunk{b: slices.Clone(whole.b[:n]), count: whole.count}
		if _, err := decodeChunk(nil, cut.seal()); err == nil || !strings.Contains(err.Error(), "chunk ends inside a point") {
			t.Errorf("%d of %d bytes: %v", n, len(whole.b), err)
		}
	}
	empty := &chunk{b: make([]byte, chunkHeader), count: 1}
	if _, err := decodeChunk(nil, empty.seal()); err == nil || !strings.Contains(err.Error(), "inside a point's step") {
		t.Errorf("no byte of its point: %v", err)
	}
}

// kept are the ids of the stored log.
func kept(t *testing.T, s *Store) (ids []uint64) {
	t.Helper()
	for id := uint64(0); id <= s.writer.log.last; id++ {
		w, err := s.Watch(ctx, after(id))
		if err == nil {
			w.Close()
			ids = append(ids, id+1)
		}
	}
	return ids[:len(ids)-1] // the last watch waits for the next one
}

func TestTheLogKeepsJustWhatItsLimitsAllow(t *testing.T) {
	s, _ := fresh(t, Options{EventLog: 10})
	for i := range 40 {
		logOne(t, s, "r", float64(i))
	}
	if got := kept(t, s); len(got) != 10 || got[0] != 32 {
		t.Errorf("by count: %v", got)
	}
	sound(t, s)

	s, _ = fresh(t, Options{})
	size := 0 // of an event whose id has one digit
	err := s.update(ctx, 1, func(t *txn) error {
		t.emit(experiments.EventMetrics, "r", json.RawMessage(`{}`))
		before := t.log.bytes
		err := t.storeEvents(100, 1<<20)
		size, t.events = t.log.bytes-before, nil
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ bytes, want int }{"just enough for five": {5 * size, 5}, "a byte less": {5*size - 1, 4}} {
		s, _ := fresh(t, Options{EventLog: 1000})
		err := s.update(ctx, 1, func(tx *txn) error {
			for range 20 {
				tx.emit(experiments.EventMetrics, "r", json.RawMessage(`{}`))
			}
			for range 7 {
				tx.events = tx.events[:1]
				if err := tx.storeEvents(1000, tt.bytes); err != nil {
					return err
				}
			}
			if tx.log.bytes > tt.bytes || tx.log.count != tt.want {
				t.Errorf("%s: %d events of %d bytes", name, tx.log.count, tx.log.bytes)
			}
			return errors.New("undone")
		})
		if err == nil {
			t.Error("not undone")
		}
	}
}

func TestALogIsTrimmedInOneCommitAndAfterReopening(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{EventLog: 3})
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID})
	long := make([]experiments.Point, 6000)
	for i := range long {
		long[i] = experiments.Point{Step: int64(i)}
	}
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": long}); err != nil {
		t.Fatal(err)
	}
	last := s.writer.log.last
	if got := kept(t, s); last < 10 || !slices.Equal(got, []uint64{last - 2, last - 1, last}) {
		t.Errorf("%d events, of which there are %v", last, got)
	}
	s.Close()
	s = open(t, dir, Options{EventLog: 3})
	logOne(t, s, "r", 1)
	if got := kept(t, s); !slices.Equal(got, []uint64{last - 1, last, last + 1}) {
		t.Errorf("after reopening there are %v", got)
	}
	sound(t, s)
}

func TestAPointIsLookedForAmongTheNewestOnes(t *testing.T) {
	const chunks = 70 // 64 of them are looked at, and more for a batch of more points
	all := make([]experiments.Point, chunks*maxChunkPoints)
	for i := range all {
		all[i] = experiments.Point{Step: int64(i), Time: 1, Value: 1}
	}
	for _, tt := range []struct {
		name         string
		chunk, n     int
		storedAgains bool
	}{
		{"one point, 65 chunks back", chunks - 65, 1, false},
		{"one point, 66 chunks back", chunks - 66, 1, true},
		{"64 points, 66 chunks back", chunks - 66, 64, true},
		{"65 points, 66 chunks back", chunks - 66, 65, false},
	} {
		s, _ := fresh(t, Options{})
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": all}); err != nil {
			t.Fatal(err)
		}
		again := all[tt.chunk*maxChunkPoints:][:tt.n]
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": again}); err != nil {
			t.Fatal(err)
		}
		info, err := s.Series(ctx, "r")
		if err != nil || (info[0].Count > int64(len(all))) != tt.storedAgains {
			t.Errorf("%s: %d points of %d; %v", tt.name, info[0].Count, len(all), err)
		}
	}
}

func TestKeysAreForgottenWhereThereAreMoreThanIsKept(t *testing.T) {
	s, _ := fresh(t, Options{})
	for i := range 3 {
		c, _ := keyed(fmt.Sprint("k", i), "")
		if err := s.LogMetrics(c, "r", experiments.MetricBatch{"m": {{Step: int64(i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ counted, left int }{{MaxRequests, 3}, {MaxRequests + 1, 2}} {
		if err := s.update(ctx, 1, func(t *txn) error { t.requests = tt.counted; return nil }); err != nil {
			t.Fatal(err)
		}
		var n int
		if err := s.view(ctx, func(tx *bbolt.Tx) error { n = countRequests(tx); return nil }); err != nil || n != tt.left {
			t.Errorf("of %d keys %d are left, want %d; %v", tt.counted, n, tt.left, err)
		}
	}
}

func TestAnEventOfARunHasItsSummaryUpToAHundredSeries(t *testing.T) {
	s, _ := fresh(t, Options{})
	for n, partial := range map[int]bool{maxRunSummary: false, maxRunSummary + 1: true} {
		batch := experiments.MetricBatch{}
		for i := range n {
			batch[fmt.Sprint("m", i)] = []experiments.Point{{Step: int64(n)}}
		}
		if err := s.RestartMetrics(ctx, "r", batch); err != nil {
			t.Fatal(err)
		}
		w := watch(t, s, WatchOptions{})
		if _, err := s.UpdateRun(ctx, "r", func(r *experiments.Run) error { r.Name = fmt.Sprint(n); return nil }); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Summary map[string]float64
			Partial bool
		}
		if err := json.Unmarshal(next(t, w).Data, &got); err != nil || got.Partial != partial || (len(got.Summary) == 0) != partial {
			t.Errorf("%d series: partial %v, %d in the summary; %v", n, got.Partial, len(got.Summary), err)
		}
		if partial {
			break
		}
		save(t, s, experiments.Run{ID: "r", ExperimentID: experiment(t, s, "e").ID})
	}
}

func TestAnEventOfARunIsWholeUpToItsBytes(t *testing.T) {
	s, e := fresh(t, Options{})
	length := func(config int) (bytes int, partial bool) {
		w := watch(t, s, WatchOptions{})
		save(t, s, experiments.Run{ID: "r", ExperimentID: e, Config: strings.Repeat("c", config), CreatedAt: time.Unix(1, 0)})
		data := next(t, w).Data
		return len(data), strings.Contains(string(data), `"partial":true`)
	}
	few, _ := length(1)
	if n, partial := length(1 + maxRunEvent - few); n != maxRunEvent || partial {
		t.Errorf("an event of %d bytes: partial %v", n, partial)
	}
	if n, partial := length(2 + maxRunEvent - few); !partial {
		t.Errorf("an event of a byte more: %d bytes", n)
	}
}

func TestRunsWithIDsOfOneLetterArePagedToo(t *testing.T) {
	s, e := fresh(t, Options{})
	for i, id := range []string{"a", "b", "c"} {
		save(t, s, experiments.Run{ID: id, ExperimentID: e, CreatedAt: time.Unix(int64(i), 0)})
	}
	var got []string
	for cursor := ""; ; {
		items, next, err := s.Runs(ctx, RunFilter{Limit: 1, Cursor: cursor})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range items {
			got = append(got, r.ID)
		}
		if cursor = next; next == "" {
			break
		}
	}
	if !slices.Equal(got, []string{"r", "c", "b", "a"}) {
		t.Errorf("listed %v", got)
	}
}

func TestEventsOfABatchAreCutWhereTheyAreFull(t *testing.T) {
	long := strings.Repeat("n", MaxMetricName)
	realistic := func(n int) []experiments.Point {
		out := make([]experiments.Point, n)
		for i := range out {
			out[i] = experiments.Point{Step: 1_000_000 + int64(i), Time: 1_700_000_000_000 + int64(i), Value: 1 / (3 + float64(i))}
		}
		return out
	}
	many := experiments.MetricBatch{}
	for i := range 300 {
		many[fmt.Sprintf("%03d%s", i, long[3:])] = realistic(1)
	}
	for name, tt := range map[string]struct {
		batch experiments.MetricBatch
		want  []int // points of each event
	}{
		"one series of a long name": {experiments.MetricBatch{long: realistic(1000)}, []int{451, 451, 98}},
		"a second one fills it up":  {experiments.MetricBatch{"a": realistic(300), "b": realistic(600)}, []int{455, 445}},
		"many series of long names": {many, []int{102, 102, 96}},
	} {
		names := make([]string, 0, len(tt.batch))
		for n := range tt.batch {
			names = append(names, n)
		}
		slices.Sort(names)
		data, err := metricEvents(names, tt.batch)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, d := range data {
			if len(d) > eventBytes+eventBytes/4 {
				t.Errorf("%s: an event of %d bytes", name, len(d))
			}
			got = append(got, strings.Count(string(d), `"step"`))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: events of %v points, want %v", name, got, tt.want)
		}
	}
}

func TestASeriesWithoutPointsAmongOthersIsNone(t *testing.T) {
	s, _ := fresh(t, Options{})
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"a": {{Step: 1}}, "b": {}}); err != nil {
		t.Fatal(err)
	}
	if infos, err := s.Series(ctx, "r"); err != nil || len(infos) != 1 {
		t.Errorf("%v, %v", infos, err)
	}
}

func TestPointsForARunThatIsMadeMeanwhileAreTold(t *testing.T) {
	s, e := fresh(t, Options{})
	w := watch(t, s, WatchOptions{RunID: "later"})
	held, release := make(chan struct{}), make(chan struct{})
	go s.update(ctx, 1, func(*txn) error { close(held); <-release; return nil })
	<-held
	queued := func(n int, do func() error) chan error {
		done := make(chan error, 1)
		go func() { done <- do() }()
		for len(s.writer.queue) < n {
			time.Sleep(time.Millisecond)
		}
		return done
	}
	saved := queued(1, func() error {
		return s.SaveRun(ctx, experiments.Run{ID: "later", ExperimentID: e, Name: "later", Status: experiments.Running})
	})
	logged := queued(2, func() error {
		return s.LogMetrics(ctx, "later", experiments.MetricBatch{"m": {{Step: 1}}})
	})
	close(release)
	if err := errors.Join(<-saved, <-logged); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{experiments.EventRun, experiments.EventMetrics} {
		if ev := next(t, w); ev.Type != want {
			t.Errorf("event %s, want %s", ev.Type, want)
		}
	}
}
