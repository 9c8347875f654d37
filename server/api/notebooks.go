package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/experiments/kinds"
	"triality/server/books"
)

// Notebooks is a folder of notebooks.
type Notebooks interface {
	List(ctx context.Context) ([]books.Entry, error)
	Read(name string) (books.Book, error)
	// WriteBy replaces a notebook whose revision is the given one; empty: makes one.
	WriteBy(name, text, was, by string) (books.Book, error)
	Cells(name string) (books.CellTexts, error)
	WriteCell(name string, c books.CellText, after, was, by string) (books.Book, error)
	Remove(name, was string) error
	History(name string) ([]books.Version, error)
	Version(name, revision string) (books.Book, error)
}

// Desk knows the states of notebooks' cells.
type Desk interface {
	Status(ctx context.Context, name, text string) (books.Status, error)
}

type (
	bookText struct {
		Text string `json:"text"` // Markdown
	}
	bookStatus struct {
		Name string `json:"name"`
		Text string `json:"text"` // need not be saved
	}
)

func (s *Server) notebooks(c echo.Context) error {
	if s.opts.Notebooks == nil {
		return unavailable("folder of notebooks")
	}
	items, err := s.opts.Notebooks.List(c.Request().Context())
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[books.Entry]{Items: items})
}

// bookName is the notebook that an address names.
func (s *Server) bookName(c echo.Context) (string, error) {
	if s.opts.Notebooks == nil {
		return "", unavailable("folder of notebooks")
	}
	return param(c, "*")
}

func sendBook(c echo.Context, b books.Book) error {
	c.Response().Header().Set("ETag", strconv.Quote(b.Revision))
	c.Response().Header().Set("Cache-Control", "no-cache")
	if safe(c.Request().Method) && c.Request().Header.Get("If-None-Match") == strconv.Quote(b.Revision) {
		return c.NoContent(http.StatusNotModified)
	}
	return sendJSON(c, http.StatusOK, b)
}

func (s *Server) notebook(c echo.Context) error {
	name, err := s.bookName(c)
	if err != nil {
		return err
	}
	var b books.Book
	if rev := c.QueryParam("revision"); rev != "" {
		b, err = s.opts.Notebooks.Version(name, rev)
	} else {
		b, err = s.opts.Notebooks.Read(name)
	}
	if err != nil {
		return err
	}
	switch asked := c.QueryParam("blocks"); asked {
	case "":
	case "1":
		b.Blocks = books.Cut(b.Text)
	default:
		return invalid("blocks=%.40q: want 1, or leave it out", asked)
	}
	return sendBook(c, b)
}

// revisionOf is the revision that a request wants to replace.
func revisionOf(c echo.Context) (string, error) {
	tag := c.Request().Header.Get("If-Match")
	rev, err := strconv.Unquote(tag)
	if err != nil || rev == "" || strings.HasPrefix(tag, "`") {
		return "", invalid("If-Match: want the quoted revision that is to be replaced, as ETag gave it")
	}
	return rev, nil
}

func (s *Server) writeNotebook(c echo.Context) error {
	name, err := s.bookName(c)
	if err != nil {
		return err
	}
	var in bookText
	// JSON may write a character in six bytes.
	if _, err := readJSON(c, 6*maxBody, &in); err != nil {
		return err
	}
	was := ""
	if c.Request().Header.Get("If-None-Match") != "*" {
		if was, err = revisionOf(c); err != nil {
			return err
		}
	}
	by, err := clientOf(c)
	if err != nil {
		return err
	}
	b, err := s.opts.Notebooks.WriteBy(name, in.Text, was, by)
	if err != nil {
		return err
	}
	return sendBook(c, b)
}

func (s *Server) removeNotebook(c echo.Context) error {
	name, err := s.bookName(c)
	if err != nil {
		return err
	}
	was, err := revisionOf(c)
	if err != nil {
		return err
	}
	if err := s.opts.Notebooks.Remove(name, was); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *Server) notebookHistory(c echo.Context) error {
	if s.opts.Notebooks == nil {
		return unavailable("folder of notebooks")
	}
	items, err := s.opts.Notebooks.History(c.QueryParam("name"))
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[books.Version]{Items: items})
}

func (s *Server) notebookStatus(c echo.Context) error {
	var in bookStatus
	if _, err := readJSON(c, 6*maxBody, &in); err != nil {
		return err
	}
	if s.opts.Desk == nil {
		return unavailable("folder of notebooks")
	}
	if err := checkBook(in.Name); err != nil {
		return err
	}
	status, err := s.opts.Desk.Status(c.Request().Context(), in.Name, in.Text)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, status)
}

func (s *Server) kinds(c echo.Context) error {
	return sendJSON(c, http.StatusOK, list[kinds.KindSchema]{Items: kinds.Schemas()})
}

func checkBook(name string) error {
	if name == "" {
		return invalid("name is missing: the notebook's")
	}
	return books.CheckName(name)
}

// partOf is the notebook of a job: some of its cells, with those that they need, in place of all.
func (s *Server) partOf(in newJob) (experiments.Submission, error) {
	out := experiments.Submission{Config: in.Config, Name: in.Name, Dir: in.Dir, Priority: in.Priority, Book: in.Book}
	if in.Book != "" {
		if err := checkBook(in.Book); err != nil {
			return out, err
		}
	}
	if len(in.Cells) == 0 {
		return out, nil
	}
	var err error
	out.Config, err = books.Part(in.Config, in.Cells)
	return out, err
}
