package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"triality/server/store"
)

// API answers requests of MLflow clients.
type API struct {
	Store            *store.Store
	Version          string // that /version gives
	Logger           *slog.Logger
	MaxArtifactBytes int64 // of one upload
}

// maxBody is the most that a request's JSON takes: MLflow's own limit of a batch is 1 MB.
const maxBody = 2 << 20

// answer makes a handler of a function over a request's fields. They are read from the body, or from the address of
// GET; those that are not known are passed over, since clients of all versions send what their server once took.
func answer[In any](a *API, do func(context.Context, In) (any, error)) echo.HandlerFunc {
	return a.handle(func(c echo.Context) error {
		var in In
		if err := fields(c, &in); err != nil {
			return err
		}
		out, err := do(c.Request().Context(), in)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusOK, out)
	})
}

// empty is the answer that says that all is done.
type empty struct{}

// handle answers for a handler that failed.
func (a *API) handle(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err == nil {
			return nil
		}
		f, hidden := failureOf(err)
		if hidden {
			a.Logger.Error("request failed", "method", c.Request().Method, "path", c.Request().URL.Path, "error", err)
		}
		if c.Response().Committed {
			return nil // half an answer is out; the connection's end tells the client
		}
		if f.status == http.StatusServiceUnavailable {
			c.Response().Header().Set("Retry-After", "2")
		}
		return c.JSON(f.status, f)
	}
}

func fields(c echo.Context, in any) error {
	req := c.Request()
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		values := map[string]any{}
		for key, all := range c.QueryParams() {
			if values[key] = any(all); len(all) == 1 {
				values[key] = all[0]
			}
		}
		b, err := json.Marshal(values)
		if err != nil {
			return err
		}
		return decode(b, in, "query")
	}
	b, err := io.ReadAll(http.MaxBytesReader(c.Response(), req.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return invalid("the body was cut off after %d bytes", len(b))
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	// A page of another site can send a form or text without asking first, JSON it cannot.
	if mt, _, err := mime.ParseMediaType(req.Header.Get(echo.HeaderContentType)); err != nil || mt != echo.MIMEApplicationJSON {
		return &failure{http.StatusUnsupportedMediaType, codeInvalid, "Content-Type: want application/json"}
	}
	return decode(b, in, "body")
}

func decode(b []byte, in any, what string) error {
	err := json.Unmarshal(b, in)
	if err == nil {
		return nil
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return invalid("Invalid value for parameter '%s' supplied: a JSON %s", kind.Field, kind.Value)
	}
	return invalid("%s: %v", what, err)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms integer) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
