package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"triality/server/store"
)

type (
	folderPatch struct {
		From string `json:"from"`
		To   string `json:"to"`
	}
	movedFolder struct {
		Experiments int `json:"experiments"` // that were moved
	}
)

func (s *Server) folders(c echo.Context) error {
	items, err := s.store.Folders(c.Request().Context())
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, list[store.Folder]{Items: items})
}

func (s *Server) moveFolder(c echo.Context) error {
	var in folderPatch
	if _, err := readJSON(c, maxBody, &in); err != nil {
		return err
	}
	moved, err := s.store.MoveFolder(c.Request().Context(), in.From, in.To)
	if err != nil {
		return err
	}
	return sendJSON(c, http.StatusOK, movedFolder{moved})
}
