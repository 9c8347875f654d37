package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/experiments/abtest"
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
		// Values are the row's of the columns that where names.
		Values map[string]string `json:"values,omitempty"`
		A      SampleAnswer      `json:"a"`
		B      SampleAnswer      `json:"b"`
	}
	sampleCounts struct {
		BothRight int `json:"both_right"`
		Fixed     int `json:"fixed"`  // B alone is right
		Broken    int `json:"broken"` // A alone is right
		BothWrong int `json:"both_wrong"`
		Differ    int `json:"differ"` // the answers differ
	}
	// sampleConfusion counts the rows by their label and an arm's answer, both in the order of labels.
	sampleConfusion struct {
		A [][]int `json:"a"`
		B [][]int `json:"b"`
	}
	comparedSamples struct {
		A          judgedBy `json:"a"`
		B          judgedBy `json:"b"`
		Rows       int      `json:"rows"` // that both judged, with the same label
		OnlyA      int      `json:"only_a"`
		OnlyB      int      `json:"only_b"`
		Relabelled int      `json:"relabelled"`
		// Inference is null where labels or answers are other than the four classes, no row is shared, or it was not asked for.
		Inference *experiments.Inference             `json:"inference"`
		McNemar   *experiments.McNemar               `json:"mcnemar"`
		Counts    sampleCounts                       `json:"counts"`
		By        map[string]map[string]sampleCounts `json:"by"` // label and language → value → counts
		Labels    []string                           `json:"labels"`
		Confusion sampleConfusion                    `json:"confusion"`
		Columns   []columnAbout                      `json:"columns"` // by which where filters
		Total     int                                `json:"total"`   // rows that are asked for; items are a page of them
		Items     []comparedSample                   `json:"items"`
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

func answerOf(s *experiments.Sample, arm string) SampleAnswer {
	a := abtest.AnswerOf(s, arm)
	return SampleAnswer{a.Prediction, a.Prediction == s.Label, a.Probability, a.Output, a.LogProb}
}

// filtered goes through the rows that a request asks for, in their order.
func filtered(c echo.Context, p *pairing, conditions []condition, do func(i int, x *experiments.Sample) error) error {
	show := c.QueryParam("show")
	switch show {
	case "", "differ", "fixed", "broken", "both_wrong", "all":
	default:
		return invalid("show=%.20q: want differ, fixed, broken, both_wrong or all", show)
	}
	query := c.QueryParams()
	text := strings.ToLower(query.Get("q"))
	for i := range p.Samples {
		x := &p.Samples[i]
		if !shown(x, show) || query.Has("label") && x.Label != query.Get("label") || query.Has("language") && x.Language != query.Get("language") ||
			text != "" && !says(x, text) || slices.ContainsFunc(conditions, func(c condition) bool { return !c.meets(c.column.of(i)) }) {
			continue
		}
		if err := do(i, x); err != nil {
			return err
		}
	}
	return nil
}

// says whether the row or what was written has a text, in lower case.
func says(x *experiments.Sample, text string) bool {
	for _, t := range []*string{&x.Text, x.OutputA, x.OutputB} {
		if t != nil && strings.Contains(strings.ToLower(*t), text) {
			return true
		}
	}
	return false
}

// infer gives the place of who infers from samples: one at a time, since it takes long where rows are many, and others load
// meanwhile.
func (s *Server) infer(ctx context.Context) (done func(), err error) {
	select {
	case s.inferring <- struct{}{}:
		return func() { <-s.inferring }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// compareSamples compares an arm each of two runs on the rows that both judged, and gives a page of the rows asked for.
func (s *Server) compareSamples(c echo.Context) error {
	limit, err := intQuery(c, "limit", 100, 1, 1000)
	if err != nil {
		return err
	}
	offset, err := intQuery(c, "offset", 0, 0, maxSamples)
	if err != nil {
		return err
	}
	infer := c.QueryParam("inference") != "0"
	if infer {
		done, err := s.infer(c.Request().Context())
		if err != nil {
			return err
		}
		defer done()
	}
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	p, err := s.pair(c)
	if err != nil {
		return err
	}
	out := comparedSamples{A: p.a, B: p.b, Rows: len(p.Samples), OnlyA: p.OnlyA, OnlyB: p.OnlyB, Relabelled: p.Relabelled,
		Counts: p.counts, By: p.by, Labels: p.labels, Confusion: p.confusion, Columns: p.about, Items: []comparedSample{}}
	conditions, err := p.conditions(c.QueryParams()["where"])
	if err != nil {
		return err
	}
	err = filtered(c, p, conditions, func(i int, x *experiments.Sample) error {
		if out.Total++; out.Total > offset && len(out.Items) < limit {
			out.Items = append(out.Items, comparedSample{Key: p.Keys[i], Index: x.Index, Group: x.Group, Text: x.Text, Language: x.Language, Domain: x.Domain,
				Label: x.Label, Reference: x.Reference, Columns: x.Columns, Values: valuesOf(conditions, i), A: answerOf(x, "A"), B: answerOf(x, "B")})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if infer {
		out.Inference, out.McNemar = p.inferred()
	}
	return sendJSON(c, http.StatusOK, out)
}

// comparedRows are the rows that a request asks for, in the format that data.input_path reads.
func (s *Server) comparedRows(c echo.Context) error {
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	p, err := s.pair(c)
	if err != nil {
		return err
	}
	var out []byte
	conditions, err := p.conditions(c.QueryParams()["where"])
	if err != nil {
		return err
	}
	err = filtered(c, p, conditions, func(i int, x *experiments.Sample) error {
		line, err := abtest.DataRow(x)
		if err != nil {
			return fmt.Errorf("row %d: %w", x.Index, err)
		}
		out = append(append(out, line...), '\n')
		return nil
	})
	if err != nil {
		return err
	}
	attach(c, "four_class_rows.jsonl")
	return sendBytes(c, http.StatusOK, "application/jsonl; charset=utf-8", out)
}

// environment is what an A/B result says of where it was measured; of a run without one, nothing on 0 rows.
type environment struct {
	Rows        int               `json:"rows"`
	Device      string            `json:"device"`
	Environment map[string]string `json:"environment"`
}

// environment answers without the result's samples, so that a comparison of many runs reads little.
func (s *Server) environment(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	var result struct {
		environment
		Samples []struct{} `json:"samples"`
	}
	result.Environment = map[string]string{}
	if _, err := s.store.Run(c.Request().Context(), id); err != nil {
		return err
	}
	b, err := readArtifact(c.Request().Context(), s.store, id, artifactAB)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return sendJSON(c, http.StatusOK, result.environment)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &result); err != nil {
		return invalid("artifact %s of run %s: %v", artifactAB, id, err)
	}
	result.Rows = len(result.Samples)
	return sendJSON(c, http.StatusOK, result.environment)
}
