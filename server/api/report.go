package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

// Limits of what a report takes into memory: points of a curve, curves, and what the JSON of a step comes
// to when it is decoded, its texts aside.
const (
	reportPoints = 1000
	reportSeries = 2000
	reportBytes  = 64 << 20
	reportRows   = 100_000 // on which the arms disagree
)

var unsafeInName = regexp.MustCompile(`[^\p{L}\p{N}._-]+`)

func (s *Server) report(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	lang := c.QueryParam("lang")
	if lang == "" {
		lang = "en"
	}
	if lang != "en" && lang != "ja" {
		return invalid("lang=%.20q: want en or ja", lang)
	}
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	in, err := ReportInput(c.Request().Context(), s.store, id)
	if err != nil {
		return err
	}
	if s.opts.Reporter == nil {
		return unavailable("reporter")
	}
	in.Language = lang
	var page bytes.Buffer // whole before the first byte leaves, so that a failure has a status
	if err := s.opts.Reporter.Render(c.Request().Context(), in, &page); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", foreignPolicy)
	h.Set("Cache-Control", "no-store")
	attach(c, "report-"+unsafeInName.ReplaceAllString(in.Run.Name, "-")+".html")
	return sendBytes(c, http.StatusOK, "text/html; charset=utf-8", page.Bytes())
}

// ReportInput gathers what the store has of a run; what it has not stays empty.
func ReportInput(ctx context.Context, st *store.Store, id string) (in experiments.ReportInput, err error) {
	if in.Run, err = st.Run(ctx, id); err != nil {
		return in, err
	}
	e, err := st.Experiment(ctx, in.Run.ExperimentID)
	if err != nil {
		return in, err
	}
	in.Experiment = e.Experiment
	infos, err := st.Series(ctx, id)
	if err != nil {
		return in, err
	}
	infos, in.OmittedSeries = chosenSeries(infos)
	in.Series = make(map[string][]experiments.Point, len(infos))
	for _, si := range infos {
		if in.Series[si.Name], _, err = thinned(ctx, st, id, si.Name, reportPoints); err != nil {
			return in, err
		}
	}
	b, err := optional(ctx, st, id, artifactData)
	if err != nil {
		return in, err
	}
	if b != nil {
		in.Data = &experiments.DatasetSummary{}
		if err := decodeBounded(b, in.Data); err != nil {
			return in, unusable(artifactData, id, err)
		}
	}
	if in.Replacement, err = optional(ctx, st, id, artifactReplacement); err != nil {
		return in, err
	}
	if b, err = optional(ctx, st, id, artifactAB); err != nil {
		return in, err
	}
	if b != nil {
		if in.AB, in.Groups, err = decodeAB(b); err != nil {
			return in, unusable(artifactAB, id, err)
		}
		in.Environment = in.AB.Environment
	}
	return in, nil
}

// unusable says which artifact is wrong. One too large keeps its code.
func unusable(p, run string, err error) error {
	if experiments.CodeOf(err) == experiments.CodeTooLarge {
		return fmt.Errorf("artifact %s of run %s: %w", p, run, err)
	}
	return invalid("artifact %s of run %s: %w", p, run, err)
}

// chosenSeries leaves out what is more than a report shows: first what no step of ours logs.
func chosenSeries(infos []store.SeriesInfo) (shown []store.SeriesInfo, omitted int) {
	if len(infos) <= reportSeries {
		return infos, 0
	}
	ours := func(name string) bool {
		first, _, _ := strings.Cut(name, "/")
		return slices.Contains([]string{"train", "eval", "pretrain", "so8t", "abtest", "loss"}, first)
	}
	slices.SortStableFunc(infos, func(a, b store.SeriesInfo) int {
		switch {
		case ours(a.Name) == ours(b.Name):
			return 0
		case ours(a.Name):
			return -1
		}
		return 1
	})
	return infos[:reportSeries], len(infos) - reportSeries
}

// optional reads a step's artifact; nil when the run has none.
func optional(ctx context.Context, st *store.Store, run, p string) ([]byte, error) {
	b, err := readArtifact(ctx, st, run, p)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return nil, nil
	}
	return b, err
}

// decodeBounded decodes a step's JSON unless it would take too much memory.
func decodeBounded(b []byte, v any) error {
	if !json.Valid(b) {
		return json.Unmarshal(b, v) // says where
	}
	if n := decodedSize(b, reflect.TypeOf(v)); n > reportBytes {
		return experiments.Errorf(experiments.CodeTooLarge, "%d bytes of JSON come to %d bytes of memory, at most %d are taken", len(b), n, reportBytes)
	}
	return json.Unmarshal(b, v)
}

// decodeAB reads an A/B result in which null stands for a figure that is not finite: encoding/json
// would leave 0 there, a figure nobody measured. Of the rows only those are kept on which the arms
// disagree, which is what a report shows of them; all are counted in their groups.
func decodeAB(b []byte) (*experiments.ABResult, []experiments.GroupScore, error) {
	var ab experiments.ABResult
	rows, b, err := cutMember(b, "samples")
	if err != nil {
		return nil, nil, err
	}
	if err := decodeBounded(b, &ab); err != nil {
		return nil, nil, err
	}
	groups := experiments.GroupTally{}
	if ab.Samples, err = disagreements(rows, groups); err != nil {
		return nil, nil, err
	}
	var nulls struct {
		Differences []struct {
			A, B, Delta, Low, High *float64
		} `json:"differences"`
		McNemar struct {
			Statistic *float64 `json:"statistic"`
			PValue    *float64 `json:"p_value"`
		} `json:"mcnemar"`
	}
	if err := json.Unmarshal(b, &nulls); err != nil {
		return nil, nil, err
	}
	mark := func(p *float64, seen *float64) {
		if seen == nil {
			*p = math.NaN()
		}
	}
	if len(nulls.Differences) != len(ab.Differences) {
		return nil, nil, fmt.Errorf("the same JSON was read in two ways")
	}
	for i, n := range nulls.Differences {
		d := &ab.Differences[i]
		mark(&d.A, n.A)
		mark(&d.B, n.B)
		mark(&d.Delta, n.Delta)
		mark(&d.Low, n.Low)
		mark(&d.High, n.High)
	}
	mark(&ab.McNemar.Statistic, nulls.McNemar.Statistic)
	mark(&ab.McNemar.PValue, nulls.McNemar.PValue)
	return &ab, groups.Scores(), nil
}

// cutMember takes a member's value out of a JSON object, leaving null in its place.
func cutMember(b []byte, name string) (value, rest []byte, err error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, b, err
	}
	for dec.More() {
		k, err := dec.Token()
		if err != nil {
			return nil, nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, nil, err
		}
		if k == name {
			end := int(dec.InputOffset())
			return raw, slices.Concat(b[:end-len(raw)], []byte("null"), b[end:]), nil
		}
	}
	return nil, b, nil
}

// disagreements reads rows one at a time and counts each.
func disagreements(rows []byte, groups experiments.GroupTally) (out []experiments.Sample, err error) {
	if len(rows) == 0 || rows[0] != '[' {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(rows))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var x experiments.Sample
	for dec.More() {
		x = experiments.Sample{}
		if err := dec.Decode(&x); err != nil {
			return nil, err
		}
		groups.Add(x)
		if x.PredictionA == x.PredictionB {
			continue
		}
		x.ProbabilityA, x.ProbabilityB = nil, nil // no part of a report
		if len(out) == reportRows {
			return nil, experiments.Errorf(experiments.CodeTooLarge, "the arms disagree on more than %d rows, too many for a report", reportRows)
		}
		out = append(out, x)
	}
	return out, nil
}
