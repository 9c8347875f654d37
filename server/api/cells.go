package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"triality/server/books"
)

// clientHeader is where a program says who it is; the history of what it changes has that.
const clientHeader = "X-Triality-Client"

// clientOf is who a request comes from: what it says, else a page of a browser, else a program.
func clientOf(c echo.Context) (string, error) {
	h := c.Request().Header
	switch name := h.Get(clientHeader); {
	case name != "":
		if err := books.CheckBy(name); err != nil {
			return "", invalid(clientHeader+": %v", err)
		}
		return name, nil
	case h.Get("Sec-Fetch-Site") != "":
		return "page", nil
	}
	return "api", nil
}

// newCellText is a cell's new text.
type newCellText struct {
	Name  string `json:"name"`            // the notebook's
	ID    string `json:"id"`              // the cell's
	Body  string `json:"body"`            // YAML
	Kind  string `json:"kind,omitempty"`  // of a cell that is not there yet, which is made
	After string `json:"after,omitempty"` // the cell after which that is put; empty: at the end
}

func (s *Server) notebookCells(c echo.Context) error {
	if s.opts.Notebooks == nil {
		return unavailable("folder of notebooks")
	}
	cells, err := s.opts.Notebooks.Cells(c.QueryParam("name"))
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, cells)
}

func (s *Server) writeCell(c echo.Context) error {
	if s.opts.Notebooks == nil {
		return unavailable("folder of notebooks")
	}
	var in newCellText
	if _, err := readJSON(c, 6*maxBody, &in); err != nil {
		return err
	}
	was, err := revisionOf(c)
	if err != nil {
		return err
	}
	by, err := clientOf(c)
	if err != nil {
		return err
	}
	b, err := s.opts.Notebooks.WriteCell(in.Name, books.CellText{ID: in.ID, Kind: in.Kind, Body: in.Body}, in.After, was, by)
	if err != nil {
		return err
	}
	return sendBook(c, b)
}
