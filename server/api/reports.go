package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

// documentPoints are drawn of a curve among several.
const documentPoints = 500

// maxReportRequest leaves room for the other keys.
const maxReportRequest = store.MaxReportBody + 16<<10

type newReport struct {
	Title string          `json:"title"`
	Body  json.RawMessage `json:"body"` // language and blocks
}

type reportPatch struct {
	Title *string         `json:"title,omitempty"`
	Body  json.RawMessage `json:"body,omitempty"`
}

// reportShare is a link without its secret.
type reportShare struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Path    string    `json:"path,omitempty"` // of the link: only in the answer that makes it
}

// wholeReport is a report as it is sent.
type wholeReport struct {
	ID       string                 `json:"id"`
	Title    string                 `json:"title"`
	Revision int64                  `json:"revision"`
	Created  time.Time              `json:"created"`
	Updated  time.Time              `json:"updated"`
	Deleted  time.Time              `json:"deleted,omitzero"`
	Shares   []reportShare          `json:"shares"`
	Blocks   int                    `json:"blocks"` // how many the body has
	Body     experiments.ReportBody `json:"body,omitzero"`
}

func sentReport(r store.Report) wholeReport {
	out := wholeReport{ID: r.ID, Title: r.Title, Revision: r.Revision, Created: r.Created, Updated: r.Updated, Deleted: r.Deleted, Shares: []reportShare{}}
	for _, s := range r.Shares {
		out.Shares = append(out.Shares, reportShare{ID: s.ID, Created: s.Created})
	}
	return out
}

func sendReport(c echo.Context, status int, r store.Report) error {
	out := sentReport(r)
	body, err := experiments.ReadReportBody(r.Body)
	if err != nil {
		return err
	}
	out.Body, out.Blocks = body, len(body.Blocks)
	c.Response().Header().Set("ETag", `"`+strconv.FormatInt(r.Revision, 10)+`"`)
	c.Response().Header().Set("Cache-Control", "no-cache")
	return sendJSON(c, status, out)
}

func (s *Server) reports(c echo.Context) error {
	deleted := c.QueryParam("deleted")
	if deleted != "" && deleted != "true" && deleted != "false" {
		return invalid("deleted=%.20q: want true or false", deleted)
	}
	blocks := map[string]int{}
	items, err := s.store.Reports(c.Request().Context(), deleted == "true", func(r *store.Report) error {
		var body struct {
			Blocks []struct{} `json:"blocks"`
		}
		err := json.Unmarshal(r.Body, &body)
		blocks[r.ID] = len(body.Blocks)
		return err
	})
	if err != nil {
		return err
	}
	out := make([]wholeReport, len(items))
	for i, r := range items {
		out[i] = sentReport(r)
		out[i].Blocks = blocks[r.ID]
	}
	return sendJSON(c, http.StatusOK, list[wholeReport]{Items: out})
}

func (s *Server) createReport(c echo.Context) error {
	var in newReport
	sent, err := readJSON(c, maxReportRequest, &in)
	if err != nil {
		return err
	}
	if in.Body == nil {
		return invalid("body is missing: language and blocks")
	}
	if _, err := experiments.ReadReportBody(in.Body); err != nil {
		return err
	}
	ctx, replayed, err := once(c, sent)
	if err != nil {
		return err
	}
	r, err := s.store.CreateReport(ctx, in.Title, in.Body)
	if err != nil {
		return err
	}
	replayed()
	c.Response().Header().Set("Location", "/api/v1/reports/"+r.ID)
	return sendReport(c, http.StatusCreated, r)
}

func (s *Server) writtenReport(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	r, err := s.store.Report(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendReport(c, http.StatusOK, r)
}

func (s *Server) patchReport(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	revision, err := ifMatch(c)
	if err != nil {
		return err
	}
	var in reportPatch
	if _, err := readJSON(c, maxReportRequest, &in); err != nil {
		return err
	}
	if in.Body != nil {
		if _, err := experiments.ReadReportBody(in.Body); err != nil {
			return err
		}
	}
	r, err := s.store.UpdateReport(c.Request().Context(), id, revision, func(r *store.Report) error {
		if in.Title != nil {
			r.Title = *in.Title
		}
		if in.Body != nil {
			r.Body = in.Body
		}
		return nil
	})
	if err != nil {
		return stale(err)
	}
	return sendReport(c, http.StatusOK, r)
}

func (s *Server) deleteReport(c echo.Context) error { return removeAt(c, s.store.DeleteReport) }

func (s *Server) restoreReport(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	r, err := s.store.RestoreReport(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendReport(c, http.StatusOK, r)
}

func (s *Server) shareReport(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	share, secret, err := s.store.ShareReport(c.Request().Context(), id)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return sendJSON(c, http.StatusCreated, reportShare{ID: share.ID, Created: share.Created, Path: "/shared/" + secret})
}

func (s *Server) withdrawShare(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	share, err := param(c, "share")
	if err != nil {
		return err
	}
	if err := s.store.WithdrawShare(c.Request().Context(), id, share); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// reportFile is a report as one file.
func (s *Server) reportFile(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	return s.sendDocument(c, func(ctx context.Context) (store.Report, error) { return s.store.Report(ctx, id) })
}

// sharedReport is what stands under a link: the file, and nothing else of the server.
func (s *Server) sharedReport(c echo.Context) error {
	secret := c.Param("secret")
	return s.sendDocument(c, func(ctx context.Context) (store.Report, error) { return s.store.SharedReport(ctx, secret) })
}

func (s *Server) sendDocument(c echo.Context, read func(context.Context) (store.Report, error)) error {
	renderer, ok := s.opts.Reporter.(experiments.DocumentReporter)
	if !ok {
		return unavailable("reporter")
	}
	ctx := c.Request().Context()
	r, err := read(ctx)
	if err != nil {
		return err
	}
	body, err := experiments.ReadReportBody(r.Body)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(body.Blocks, func(b experiments.ReportBlock) bool { return b.Kind == experiments.BlockPaired }) {
		done, err := s.infer(ctx) // before the place to load, as everywhere, so that none waits for the other
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
	d, err := s.reportDocument(ctx, r.Title, body)
	if err != nil {
		return err
	}
	var page bytes.Buffer // whole before the first byte leaves, so that a failure has a status
	if err := renderer.RenderDocument(ctx, d, &page); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", foreignPolicy)
	h.Set("Cache-Control", "no-store")
	attach(c, "report-"+unsafeInName.ReplaceAllString(r.Title, "-")+".html")
	return sendBytes(c, http.StatusOK, "text/html; charset=utf-8", page.Bytes())
}

// reportDocument gathers what a report's blocks show. A run that is gone stays out, and the report says so.
func (s *Server) reportDocument(ctx context.Context, title string, body experiments.ReportBody) (d experiments.ReportDocument, err error) {
	d = experiments.ReportDocument{Title: title, Body: body, Inputs: map[string]experiments.ReportInput{}, Runs: map[string]experiments.Run{},
		Series: map[string]map[string][]experiments.Point{}, Pairs: map[[2]experiments.ReportSide]experiments.ReportPair{}}
	there := func(err error) (bool, error) {
		if experiments.CodeOf(err) == experiments.CodeNotFound {
			return false, nil
		}
		return err == nil, err
	}
	for _, b := range body.Blocks {
		for _, id := range b.Runs {
			run, err := s.store.Run(ctx, id)
			ok, err := there(err)
			if err != nil {
				return d, err
			}
			if !ok {
				continue
			}
			d.Runs[id] = run
			if b.Kind == experiments.BlockCurves {
				if err := s.documentSeries(ctx, d.Series, id, b.Metrics); err != nil {
					return d, err
				}
			}
		}
		if b.Kind == experiments.BlockPaired {
			p, err := s.documentPair(ctx, b.Sides())
			ok, err := there(err)
			if err != nil {
				return d, err
			}
			if ok {
				d.Pairs[b.Sides()] = p
			}
		}
		if _, known := d.Inputs[b.Run]; known || b.Run == "" {
			continue
		}
		in, err := ReportInput(ctx, s.store, b.Run)
		ok, err := there(err)
		if err != nil {
			return d, err
		}
		if ok {
			d.Inputs[b.Run] = in
		}
	}
	return d, nil
}

// documentSeries adds a run's curves; one that it has not stays out.
func (s *Server) documentSeries(ctx context.Context, to map[string]map[string][]experiments.Point, run string, metrics []string) error {
	if to[run] == nil {
		to[run] = map[string][]experiments.Point{}
	}
	for _, m := range metrics {
		if _, known := to[run][m]; known {
			continue
		}
		points, _, err := thinned(ctx, s.store, run, m, documentPoints)
		if err != nil && experiments.CodeOf(err) != experiments.CodeNotFound {
			return err
		}
		if len(points) > 0 {
			to[run][m] = points
		}
	}
	return nil
}

// documentPair is what a report shows of two results on the rows that both judged.
func (s *Server) documentPair(ctx context.Context, sides [2]experiments.ReportSide) (out experiments.ReportPair, err error) {
	p, err := s.pairOf(ctx, sides)
	if err != nil {
		return out, err
	}
	out = experiments.ReportPair{OnlyA: p.OnlyA, OnlyB: p.OnlyB, Relabelled: p.Relabelled, BothRight: p.counts.BothRight, BothWrong: p.counts.BothWrong}
	for i, by := range []judgedBy{p.a, p.b} {
		out.Names[i], out.Models[i] = by.Name, by.Model
	}
	out.Result.Rows = len(p.Samples)
	inference, mcnemar := p.inferred()
	if out.Result.Inference = inference; mcnemar != nil {
		out.Result.McNemar = *mcnemar
	}
	out.Result.McNemar.OnlyA, out.Result.McNemar.OnlyB = p.counts.Broken, p.counts.Fixed
	for _, x := range p.Samples {
		if x.PredictionA != x.PredictionB {
			out.Result.Samples = append(out.Result.Samples, x)
		}
	}
	return out, nil
}
