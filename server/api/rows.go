package api

import (
	"context"
	"errors"
	"math"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"

	"triality/runtime/tablefile"
)

// Rows reads rows of a Parquet or Arrow file. An error that is the file's fault is tablefile.ErrFile.
type Rows func(ctx context.Context, f *os.File, ask tablefile.Ask) (tablefile.Page, error)

// rows are rows of a run's Parquet or Arrow file.
func (s *Server) rows(c echo.Context) error {
	if s.opts.Rows == nil {
		return unavailable("reader of rows")
	}
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	p, err := param(c, "*")
	if err != nil {
		return err
	}
	offset, err := intQuery(c, "offset", 0, 0, math.MaxInt)
	if err != nil {
		return err
	}
	limit, err := intQuery(c, "limit", 100, 1, tablefile.MaxRows)
	if err != nil {
		return err
	}
	free, err := s.load(c)
	if err != nil {
		return err
	}
	defer free()
	ctx := c.Request().Context()
	_, f, err := s.store.OpenArtifact(ctx, id, p)
	if err != nil {
		return err
	}
	defer f.Close()
	page, err := s.opts.Rows(ctx, f, tablefile.Ask{Offset: int64(offset), Limit: limit})
	if errors.Is(err, tablefile.ErrFile) {
		return invalid("artifact %s of run %s: %w", p, id, err)
	}
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, page)
}
