package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/experiments/abtest"
)

// The comparisons that were asked for last are kept, so that a person who pages through 100,000 rows waits once.
const (
	pairsKept     = 4
	pairBytesKept = 128 << 20 // of the results that they were read from
	pairKeptFor   = 10 * time.Minute
)

// pairing is two results on the rows that both judged.
type pairing struct {
	a, b judgedBy
	abtest.Paired
	design    experiments.Design
	counts    sampleCounts
	by        map[string]map[string]sampleCounts
	labels    []string
	confusion sampleConfusion
	columns   []sampleColumn
	about     []columnAbout
	bytes     int

	inferring sync.Once
	inference *experiments.Inference
	mcnemar   *experiments.McNemar
}

// count fills in what is counted of all rows.
func (p *pairing) count() {
	at := map[string]int{}
	p.labels = []string{}
	add := func(label string) int {
		i, known := at[label]
		if !known {
			i = len(p.labels)
			at[label], p.labels = i, append(p.labels, label)
		}
		return i
	}
	used := map[string]bool{}
	for i := range p.Samples {
		x := &p.Samples[i]
		used[x.Label], used[x.PredictionA], used[x.PredictionB] = true, true, true
	}
	for _, label := range experiments.Labels { // the usual ones in their usual order
		if used[label] {
			add(label)
		}
	}
	for _, label := range slices.Sorted(maps.Keys(used)) {
		add(label)
	}
	p.by = map[string]map[string]sampleCounts{"label": {}, "language": {}}
	for range p.labels {
		p.confusion.A, p.confusion.B = append(p.confusion.A, make([]int, len(p.labels))), append(p.confusion.B, make([]int, len(p.labels)))
	}
	for i := range p.Samples {
		x := &p.Samples[i]
		p.counts.add(x)
		for by, value := range map[string]string{"label": x.Label, "language": x.Language} {
			n := p.by[by][value]
			n.add(x)
			p.by[by][value] = n
		}
		p.confusion.A[at[x.Label]][at[x.PredictionA]]++
		p.confusion.B[at[x.Label]][at[x.PredictionB]]++
	}
}

// inferred is what the rows show by the design of the second test, without a verdict: that is of a test which was
// designed.
func (p *pairing) inferred() (*experiments.Inference, *experiments.McNemar) {
	p.inferring.Do(func() {
		if !abtest.Judged(p.Samples) {
			return
		}
		var gold, a, b []int
		for i := range p.Samples {
			x := &p.Samples[i]
			gold = append(gold, experiments.LabelIndex(x.Label))
			a, b = append(a, experiments.LabelIndex(x.PredictionA)), append(b, experiments.LabelIndex(x.PredictionB))
		}
		m := abtest.McNemar(gold, a, b)
		p.inference, p.mcnemar = abtest.Infer(p.Samples, abtest.Units(p.Samples, p.design.Unit), p.design, 1), &m
	})
	return p.inference, p.mcnemar
}

// pairs keeps pairings by what they were made of.
type pairs struct {
	mu    sync.Mutex
	kept  []*pairing // the one that was asked for last comes first
	keys  []string
	clock *time.Timer
}

func (c *pairs) get(key string) *pairing {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, k := range c.keys {
		if k == key {
			p := c.kept[i]
			copy(c.kept[1:i+1], c.kept[:i])
			copy(c.keys[1:i+1], c.keys[:i])
			c.kept[0], c.keys[0] = p, key
			c.clock.Reset(pairKeptFor)
			return p
		}
	}
	return nil
}

func (c *pairs) put(key string, p *pairing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.bytes > pairBytesKept {
		return
	}
	c.kept, c.keys = append([]*pairing{p}, c.kept...), append([]string{key}, c.keys...)
	room := pairBytesKept
	for i := range c.kept {
		if room -= c.kept[i].bytes; room < 0 || i == pairsKept {
			clear(c.kept[i:])
			c.kept, c.keys = c.kept[:i], c.keys[:i]
			break
		}
	}
	if c.clock == nil {
		c.clock = time.AfterFunc(pairKeptFor, c.drop)
	} else {
		c.clock.Reset(pairKeptFor)
	}
}

func (c *pairs) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept, c.keys = nil, nil
}

// judged reads a run's A/B result with its samples.
func (s *Server) judged(ctx context.Context, run string) (*experiments.ABResult, int, error) {
	b, err := readArtifact(ctx, s.store, run, artifactAB)
	if err != nil {
		return nil, 0, err
	}
	var out experiments.ABResult
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, len(b), experiments.Errorf(experiments.CodeInvalid, "artifact %s of run %s: %w", artifactAB, run, err)
	}
	if len(out.Samples) > maxSamples {
		return nil, len(b), experiments.Errorf(experiments.CodeTooLarge, "run %s: its A/B result has %d samples, at most %d are compared", run, len(out.Samples), maxSamples)
	}
	return &out, len(b), nil
}

func armOf(c echo.Context, name string) (string, error) {
	arm := c.QueryParam(name)
	switch arm {
	case "":
		return "B", nil
	case "A", "B":
		return arm, nil
	}
	return "", invalid("%s=%.20q: want A or B", name, arm)
}

// side is what a request asks for on one side of a comparison.
func side(c echo.Context, name string) (of experiments.ReportSide, err error) {
	if of.Run = c.QueryParam(name); of.Run == "" {
		return of, invalid("%s is missing: the id of a run", name)
	}
	of.Arm, err = armOf(c, name+"_arm")
	return of, err
}

// pair reads the two results that a request names, or has them still.
func (s *Server) pair(c echo.Context) (*pairing, error) {
	a, err := side(c, "a")
	if err != nil {
		return nil, err
	}
	b, err := side(c, "b")
	if err != nil {
		return nil, err
	}
	return s.pairOf(c.Request().Context(), [2]experiments.ReportSide{a, b})
}

// stands says what is on a side now; key names its result.
func (s *Server) stands(ctx context.Context, of experiments.ReportSide) (by judgedBy, key string, err error) {
	run, err := s.store.Run(ctx, of.Run)
	if err != nil {
		return by, "", err
	}
	by = judgedBy{RunID: of.Run, Name: run.Name, Arm: of.Arm}
	artifact, f, err := s.store.OpenArtifact(ctx, by.RunID, artifactAB)
	if err != nil {
		return by, "", err
	}
	return by, strings.Join([]string{by.RunID, artifact.SHA256, by.Arm, by.Name}, " "), f.Close()
}

// pairOf reads two results, or has them still.
func (s *Server) pairOf(ctx context.Context, sides [2]experiments.ReportSide) (*pairing, error) {
	a, keyA, err := s.stands(ctx, sides[0])
	if err != nil {
		return nil, err
	}
	b, keyB, err := s.stands(ctx, sides[1])
	if err != nil {
		return nil, err
	}
	key := keyA + "\n" + keyB // the names are in it: a run that was named anew is read anew
	s.pairing.Lock()          // two requests of one page read once
	defer s.pairing.Unlock()
	if p := s.pairs.get(key); p != nil {
		return p, nil
	}
	first, n, err := s.judged(ctx, a.RunID)
	if err != nil {
		return nil, err
	}
	second := first
	if b.RunID != a.RunID {
		var m int
		if second, m, err = s.judged(ctx, b.RunID); err != nil {
			return nil, err
		}
		n += m
	}
	for side, r := range map[*judgedBy]*experiments.ABResult{&a: first, &b: second} {
		side.Rows, side.Model = len(r.Samples), r.Arms[strings.Index("AB", side.Arm)].Model
	}
	p := &pairing{a: a, b: b, Paired: abtest.Pair(first.Samples, a.Arm, second.Samples, b.Arm), design: experiments.DefaultDesign(), bytes: n}
	if second.Inference != nil {
		p.design = second.Inference.Design
	}
	p.count()
	p.columns = columnsOf(p, first, second)
	for i := range p.columns {
		p.about = append(p.about, p.columns[i].about(len(p.Samples)))
	}
	s.pairs.put(key, p)
	return p, nil
}
