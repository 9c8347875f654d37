package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"triality/server/books"
	"triality/server/store"
)

type newComment struct {
	Book   string `json:"book"` // the notebook's name
	Cell   string `json:"cell"`
	Author string `json:"author"`
	Text   string `json:"text"`
}

type commentPatch struct {
	Text     *string `json:"text,omitempty"`
	Resolved *bool   `json:"resolved,omitempty"`
	By       string  `json:"by,omitempty"` // who resolved it
}

// pageHere is what a page says of itself.
type pageHere struct {
	Book   string `json:"book"`   // the notebook's name
	Window string `json:"window"` // the page's own, of its choice
	Name   string `json:"name"`   // of its user
	Colour int    `json:"colour"`
	Cell   string `json:"cell,omitempty"`
	Gone   bool   `json:"gone,omitempty"` // it no longer has the notebook open
}

func sendComment(c echo.Context, status int, x store.Comment) error {
	c.Response().Header().Set("ETag", `"`+strconv.FormatInt(x.Revision, 10)+`"`)
	c.Response().Header().Set("Cache-Control", "no-cache")
	return sendJSON(c, status, x)
}

func (s *Server) comments(c echo.Context) error {
	book, deleted := c.QueryParam("book"), c.QueryParam("deleted")
	if err := checkBook(book); err != nil {
		return err
	}
	if deleted != "" && deleted != "true" && deleted != "false" {
		return invalid("deleted=%.20q: want true or false", deleted)
	}
	items, err := s.store.Comments(c.Request().Context(), book, deleted == "true")
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[store.Comment]{Items: items})
}

func (s *Server) addComment(c echo.Context) error {
	var in newComment
	sent, err := readJSON(c, maxBody, &in)
	if err != nil {
		return err
	}
	if s.opts.Notebooks == nil {
		return unavailable("folder of notebooks")
	}
	if err := checkBook(in.Book); err != nil {
		return err
	}
	if _, err := s.opts.Notebooks.Read(in.Book); err != nil {
		return err
	}
	ctx, replayed, err := once(c, sent)
	if err != nil {
		return err
	}
	made, err := s.store.AddComment(ctx, store.Comment{Book: in.Book, Cell: in.Cell, Author: in.Author, Text: in.Text})
	if err != nil {
		return err
	}
	replayed()
	c.Response().Header().Set("Location", "/api/v1/comments/"+made.ID)
	return sendComment(c, http.StatusCreated, made)
}

func (s *Server) patchComment(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	revision, err := ifMatch(c)
	if err != nil {
		return err
	}
	var in commentPatch
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	if len(in.By) > store.MaxCommentName {
		return invalid("by has %d bytes, may have %d", len(in.By), store.MaxCommentName)
	}
	now, err := s.store.UpdateComment(c.Request().Context(), id, revision, func(x *store.Comment) {
		if in.Text != nil {
			x.Text = *in.Text
		}
		switch {
		case in.Resolved == nil:
		case *in.Resolved:
			x.ResolvedAt, x.ResolvedBy = time.Now().UTC(), in.By
		default:
			x.ResolvedAt, x.ResolvedBy = time.Time{}, ""
		}
	})
	if err != nil {
		return stale(err)
	}
	return sendComment(c, http.StatusOK, now)
}

func (s *Server) deleteComment(c echo.Context) error { return removeAt(c, s.store.DeleteComment) }

func (s *Server) restoreComment(c echo.Context) error {
	id, err := param(c, "id")
	if err != nil {
		return err
	}
	back, err := s.store.RestoreComment(c.Request().Context(), id)
	if err != nil {
		return err
	}
	return sendComment(c, http.StatusOK, back)
}

func (s *Server) pageIsHere(c echo.Context) error {
	var in pageHere
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	if err := checkBook(in.Book); err != nil {
		return err
	}
	if in.Gone {
		s.room.Gone(in.Book, in.Window)
		return sendJSON(c, http.StatusOK, list[books.Present]{Items: []books.Present{}})
	}
	items, err := s.room.Here(in.Book, books.Present{Window: in.Window, Name: in.Name, Colour: in.Colour, Cell: in.Cell})
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[books.Present]{Items: items})
}
