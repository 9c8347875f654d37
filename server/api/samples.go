package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/experiments/abtest"
	"triality/server/store"
)

// Limits of comparisons of samples.
const (
	maxSamples       = 500_000   // of one result
	historyResults   = 200       // that one request looks at
	historyBytes     = 256 << 20 // of results that one request reads
	historyRunsAPage = 50
)

type (
	judgedBy struct {
		RunID string `json:"run_id"`
		Name  string `json:"name"`
		Arm   string `json:"arm"`
		Model string `json:"model"`
		Rows  int    `json:"rows"`
	}
	// SampleAnswer is what an arm made of a row.
	SampleAnswer struct {
		Prediction  string    `json:"prediction"`
		Correct     bool      `json:"correct"`
		Probability []float64 `json:"probability,omitempty"`
		Output      *string   `json:"output,omitempty"`
		LogProb     []float32 `json:"logprob,omitempty"`
	}
	comparedSample struct {
		Key       string              `json:"key"`
		Index     int                 `json:"index"`
		Group     string              `json:"group"`
		Text      string              `json:"text"`
		Language  string              `json:"language"`
		Domain    string              `json:"domain"`
		Label     string              `json:"label"`
		Reference string              `json:"reference,omitempty"`
		Columns   experiments.Columns `json:"columns,omitempty"`
		A         SampleAnswer        `json:"a"`
		B         SampleAnswer        `json:"b"`
	}
	sampleCounts struct {
		BothRight int `json:"both_right"`
		Fixed     int `json:"fixed"`  // B alone is right
		Broken    int `json:"broken"` // A alone is right
		BothWrong int `json:"both_wrong"`
		Differ    int `json:"differ"` // the answers differ
	}
	comparedSamples struct {
		A          judgedBy `json:"a"`
		B          judgedBy `json:"b"`
		Rows       int      `json:"rows"` // that both judged, with the same label
		OnlyA      int      `json:"only_a"`
		OnlyB      int      `json:"only_b"`
		Relabelled int      `json:"relabelled"`
		// Inference is null where labels or answers are other than the four classes, or no row is shared.
		Inference *experiments.Inference             `json:"inference"`
		McNemar   *experiments.McNemar               `json:"mcnemar"`
		Counts    sampleCounts                       `json:"counts"`
		By        map[string]map[string]sampleCounts `json:"by"`    // label and language → value → counts
		Total     int                                `json:"total"` // rows that are asked for; items are a page of them
		Items     []comparedSample                   `json:"items"`
	}
	sampleVisit struct {
		RunID        string    `json:"run_id"`
		Name         string    `json:"name"`
		ExperimentID string    `json:"experiment_id"`
		CreatedAt    time.Time `json:"created_at"`
		Arm          string    `json:"arm"`
		Model        string    `json:"model"`
		Label        string    `json:"label"`
		SampleAnswer
	}
	sampleHistory struct {
		Key      string        `json:"key"`
		Text     string        `json:"text"`
		Label    string        `json:"label"`
		Language string        `json:"language"`
		Items    []sampleVisit `json:"items"`
		Scanned  int           `json:"scanned"` // results that were looked at
		Next     string        `json:"next_cursor"`
	}
)

func (c *sampleCounts) add(s *experiments.Sample) {
	switch a, b := s.PredictionA == s.Label, s.PredictionB == s.Label; {
	case a && b:
		c.BothRight++
	case b:
		c.Fixed++
	case a:
		c.Broken++
	default:
		c.BothWrong++
	}
	if s.PredictionA != s.PredictionB {
		c.Differ++
	}
}

// shown says whether a row is among those asked for.
func shown(s *experiments.Sample, show string) bool {
	var c sampleCounts
	c.add(s)
	switch show {
	case "fixed":
		return c.Fixed > 0
	case "broken":
		return c.Broken > 0
	case "both_wrong":
		return c.BothWrong > 0
	case "all":
		return true
	}
	return c.Differ > 0
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

func answerOf(s *experiments.Sample, arm string) SampleAnswer {
	a := abtest.AnswerOf(s, arm)
	return SampleAnswer{a.Prediction, a.Prediction == s.Label, a.Probability, a.Output, a.LogProb}
}

// side reads one side of a comparison.
func (s *Server) side(c echo.Context, name string) (by judgedBy, r *experiments.ABResult, err error) {
	ctx := c.Request().Context()
	by.RunID = c.QueryParam(name)
	if by.RunID == "" {
		return by, nil, invalid("%s is missing: the id of a run", name)
	}
	if by.Arm, err = armOf(c, name+"_arm"); err != nil {
		return by, nil, err
	}
	run, err := s.store.Run(ctx, by.RunID)
	if err != nil {
		return by, nil, err
	}
	if r, _, err = s.judged(ctx, by.RunID); err != nil {
		return by, nil, err
	}
	by.Name, by.Rows = run.Name, len(r.Samples)
	by.Model = r.Arms[strings.Index("AB", by.Arm)].Model
	return by, r, nil
}

func (s *Server) compareSamples(c echo.Context) error {
	limit, err := intQuery(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	offset, err := intQuery(c, "offset", 0, 0, maxSamples)
	if err != nil {
		return err
	}
	show := c.QueryParam("show")
	switch show {
	case "", "differ", "fixed", "broken", "both_wrong", "all":
	default:
		return invalid("show=%.20q: want differ, fixed, broken, both_wrong or all", show)
	}
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	a, first, err := s.side(c, "a")
	if err != nil {
		return err
	}
	b, second, err := s.side(c, "b")
	if err != nil {
		return err
	}
	p := abtest.Pair(first.Samples, a.Arm, second.Samples, b.Arm)
	out := comparedSamples{A: a, B: b, Rows: len(p.Samples), OnlyA: p.OnlyA, OnlyB: p.OnlyB, Relabelled: p.Relabelled,
		By: map[string]map[string]sampleCounts{"label": {}, "language": {}}, Items: []comparedSample{}}
	out.Inference, out.McNemar = inferred(p.Samples, second)
	text := strings.ToLower(c.QueryParam("q"))
	for i := range p.Samples {
		x := &p.Samples[i]
		out.Counts.add(x)
		for by, value := range map[string]string{"label": x.Label, "language": x.Language} {
			n := out.By[by][value]
			n.add(x)
			out.By[by][value] = n
		}
		if !shown(x, show) || c.QueryParams().Has("label") && x.Label != c.QueryParam("label") || c.QueryParams().Has("language") && x.Language != c.QueryParam("language") ||
			text != "" && !strings.Contains(strings.ToLower(x.Text), text) {
			continue
		}
		if out.Total++; out.Total > offset && len(out.Items) < limit {
			out.Items = append(out.Items, comparedSample{Key: p.Keys[i], Index: x.Index, Group: x.Group, Text: x.Text, Language: x.Language, Domain: x.Domain,
				Label: x.Label, Reference: x.Reference, Columns: x.Columns, A: answerOf(x, "A"), B: answerOf(x, "B")})
		}
	}
	return sendJSON(c, http.StatusOK, out)
}

// inferred is what the rows show by the design of the second test, without a verdict: that is of a test which was
// designed.
func inferred(samples []experiments.Sample, of *experiments.ABResult) (*experiments.Inference, *experiments.McNemar) {
	if !abtest.Judged(samples) {
		return nil, nil
	}
	design := experiments.DefaultDesign()
	if of.Inference != nil {
		design = of.Inference.Design
	}
	var gold, a, b []int
	for i := range samples {
		gold = append(gold, experiments.LabelIndex(samples[i].Label))
		a, b = append(a, experiments.LabelIndex(samples[i].PredictionA)), append(b, experiments.LabelIndex(samples[i].PredictionB))
	}
	m := abtest.McNemar(gold, a, b)
	return abtest.Infer(samples, abtest.Units(samples, design.Unit), design, 1), &m
}

func (s *Server) sampleHistory(c echo.Context) error {
	ctx := c.Request().Context()
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	out := sampleHistory{Key: c.QueryParam("key"), Items: []sampleVisit{}}
	if run := c.QueryParam("run"); out.Key == "" && run != "" {
		index, err := intQuery(c, "index", -1, 0, 1<<31-1)
		if err != nil {
			return err
		}
		r, _, err := s.judged(ctx, run)
		if err != nil {
			return err
		}
		for i, k := range abtest.Keys(r.Samples) {
			if r.Samples[i].Index == index {
				out.Key = k
			}
		}
		if out.Key == "" {
			return experiments.Errorf(experiments.CodeNotFound, "run %s: no sample has the index %d", run, index)
		}
	}
	if out.Key == "" {
		return invalid("key is missing: that of a sample, or run and index")
	}
	out.Next = c.QueryParam("cursor")
	read := 0
	for more := true; more; more = out.Next != "" && out.Scanned < historyResults-historyRunsAPage && read < historyBytes {
		runs, next, err := s.store.Runs(ctx, store.RunFilter{Limit: historyRunsAPage, Cursor: out.Next})
		if err != nil {
			return err
		}
		out.Next = next
		for _, run := range runs {
			n, err := s.visit(ctx, run, &out)
			if read += n; err != nil {
				return err
			}
		}
	}
	return sendJSON(c, http.StatusOK, out)
}

// visit adds what a run's arms made of a sample, if it has an A/B result that has the sample.
func (s *Server) visit(ctx context.Context, run experiments.Run, out *sampleHistory) (read int, err error) {
	r, read, err := s.judged(ctx, run.ID)
	switch experiments.CodeOf(err) {
	case experiments.CodeNotFound, experiments.CodeInvalid, experiments.CodeTooLarge:
		if err != nil {
			return read, nil // no result, or none that can be read: it has no history to add
		}
	}
	if err != nil {
		return read, fmt.Errorf("history of a sample: %w", err)
	}
	out.Scanned++
	for i, k := range abtest.Keys(r.Samples) {
		if k != out.Key {
			continue
		}
		x := &r.Samples[i]
		if out.Text == "" {
			out.Text, out.Label, out.Language = x.Text, x.Label, x.Language
		}
		for arm, name := range []string{"A", "B"} {
			out.Items = append(out.Items, sampleVisit{RunID: run.ID, Name: run.Name, ExperimentID: run.ExperimentID, CreatedAt: run.CreatedAt,
				Arm: name, Model: r.Arms[arm].Model, Label: x.Label, SampleAnswer: answerOf(x, name)})
		}
	}
	return read, nil
}
