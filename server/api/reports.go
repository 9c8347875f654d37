package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/store"
)

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
	out.Body = body
	c.Response().Header().Set("ETag", `"`+strconv.FormatInt(r.Revision, 10)+`"`)
	c.Response().Header().Set("Cache-Control", "no-cache")
	return sendJSON(c, status, out)
}

func (s *Server) reports(c echo.Context) error {
	deleted := c.QueryParam("deleted")
	if deleted != "" && deleted != "true" && deleted != "false" {
		return invalid("deleted=%.20q: want true or false", deleted)
	}
	items, err := s.store.Reports(c.Request().Context(), deleted == "true")
	if err != nil {
		return err
	}
	out := make([]wholeReport, len(items))
	for i, r := range items {
		out[i] = sentReport(r)
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

func (s *Server) deleteReport(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	revision, err := ifMatch(c)
	if err != nil {
		return err
	}
	if err := s.store.DeleteReport(c.Request().Context(), id, revision); err != nil {
		return stale(err)
	}
	return c.NoContent(http.StatusNoContent)
}

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
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	ctx := c.Request().Context()
	r, err := read(ctx)
	if err != nil {
		return err
	}
	renderer, ok := s.opts.Reporter.(experiments.DocumentReporter)
	if !ok {
		return unavailable("reporter")
	}
	d, err := s.reportDocument(ctx, r)
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
func (s *Server) reportDocument(ctx context.Context, r store.Report) (d experiments.ReportDocument, err error) {
	d = experiments.ReportDocument{Title: r.Title, Inputs: map[string]experiments.ReportInput{}, Runs: map[string]experiments.Run{}}
	if d.Body, err = experiments.ReadReportBody(r.Body); err != nil {
		return d, err
	}
	gone := func(err error) bool { return experiments.CodeOf(err) == experiments.CodeNotFound }
	for _, b := range d.Body.Blocks {
		for _, id := range b.Runs {
			run, err := s.store.Run(ctx, id)
			if err == nil {
				d.Runs[id] = run
			} else if !gone(err) {
				return d, err
			}
		}
		if _, known := d.Inputs[b.Run]; known || b.Run == "" {
			continue
		}
		in, err := ReportInput(ctx, s.store, b.Run)
		if err == nil {
			d.Inputs[b.Run] = in
		} else if !gone(err) {
			return d, err
		}
	}
	return d, nil
}
