package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

// reportPoints bounds the points of one curve in a report.
const reportPoints = 1000

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
		if err := json.Unmarshal(b, in.Data); err != nil {
			return in, invalid("artifact %s of run %s: %w", artifactData, id, err)
		}
	}
	if in.Replacement, err = optional(ctx, st, id, artifactReplacement); err != nil {
		return in, err
	}
	if b, err = optional(ctx, st, id, artifactAB); err != nil {
		return in, err
	}
	if b != nil {
		if in.AB, err = decodeAB(b); err != nil {
			return in, invalid("artifact %s of run %s: %w", artifactAB, id, err)
		}
		in.Environment = in.AB.Environment
	}
	return in, nil
}

// optional reads a step's artifact; nil when the run has none.
func optional(ctx context.Context, st *store.Store, run, p string) ([]byte, error) {
	b, err := readArtifact(ctx, st, run, p)
	if experiments.CodeOf(err) == experiments.CodeNotFound {
		return nil, nil
	}
	return b, err
}

// decodeAB reads an A/B result in which null stands for a figure that is not finite: encoding/json
// would leave 0 there, a figure nobody measured.
func decodeAB(b []byte) (*experiments.ABResult, error) {
	var ab experiments.ABResult
	if err := json.Unmarshal(b, &ab); err != nil {
		return nil, err
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
		return nil, err
	}
	mark := func(p *float64, seen *float64) {
		if seen == nil {
			*p = math.NaN()
		}
	}
	if len(nulls.Differences) != len(ab.Differences) {
		return nil, fmt.Errorf("the same JSON was read in two ways")
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
	return &ab, nil
}
