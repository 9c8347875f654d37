package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"triality/experiments"
)

// codeForbidden and codeMethod are the HTTP layer's own.
const (
	codeForbidden experiments.Code = "forbidden"
	codeMethod    experiments.Code = "method_not_allowed"
	codeMedia     experiments.Code = "unsupported_media_type"
	codeTimeout   experiments.Code = "request_timeout"
)

var statusOf = map[experiments.Code]int{
	experiments.CodeInvalid:     http.StatusBadRequest,
	experiments.CodeNotFound:    http.StatusNotFound,
	experiments.CodeConflict:    http.StatusConflict,
	experiments.CodeTooLarge:    http.StatusRequestEntityTooLarge,
	experiments.CodeUnavailable: http.StatusServiceUnavailable,
	experiments.CodeUnknown:     http.StatusGatewayTimeout, // as others answer when what lies behind may or may not have done it
	experiments.CodeInternal:    http.StatusInternalServerError,
	codeForbidden:               http.StatusForbidden,
	codeMethod:                  http.StatusMethodNotAllowed,
	codeMedia:                   http.StatusUnsupportedMediaType,
	codeTimeout:                 http.StatusRequestTimeout,
	codePrecondition:            http.StatusPreconditionFailed,
}

// Failure is the body of every error answer.
type Failure struct {
	Code    experiments.Code `json:"code"`
	Message string           `json:"message"`
	Details map[string]any   `json:"details,omitempty"`
}

// failureOf is what a client may know of an error; hidden says that the rest belongs in the log.
func failureOf(err error) (f Failure, hidden bool) {
	var large *http.MaxBytesError
	var coded *experiments.Error
	var he *echo.HTTPError
	switch {
	case errors.As(err, &large):
		return Failure{Code: experiments.CodeTooLarge, Message: "the body is larger than this route takes",
			Details: map[string]any{"limit_bytes": large.Limit}}, false
	case errors.As(err, &coded) && coded.Code != experiments.CodeInternal:
		if _, known := statusOf[coded.Code]; known {
			return Failure{Code: coded.Code, Message: err.Error(), Details: coded.Details}, false
		}
	case errors.As(err, &he):
		switch he.Code {
		case http.StatusNotFound:
			return Failure{Code: experiments.CodeNotFound, Message: "no such route"}, false
		case http.StatusMethodNotAllowed:
			return Failure{Code: codeMethod, Message: "the route does not take this method"}, false
		}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Failure{Code: experiments.CodeUnavailable, Message: "the request was cut short"}, false
	}
	return Failure{Code: experiments.CodeInternal, Message: "internal error; the server's log has the details"}, true
}

// handleError answers for every handler that returned an error.
func (s *Server) handleError(err error, c echo.Context) {
	f, hidden := failureOf(err)
	req := c.Request()
	if hidden {
		s.log.Error("request failed", "method", req.Method, "path", req.URL.Path, "error", err)
	}
	if c.Response().Committed {
		return // half an answer is out; the connection's end tells the client
	}
	if f.Code == experiments.CodeUnavailable {
		c.Response().Header().Set("Retry-After", "2")
	}
	c.Response().Header().Del("ETag")
	c.Response().Header().Set("Cache-Control", "no-store")
	if err := sendJSON(c, statusOf[f.Code], f); err != nil {
		s.log.Debug("an error answer was not sent", "path", req.URL.Path, "error", err)
	}
}

func invalid(format string, args ...any) error {
	return experiments.Errorf(experiments.CodeInvalid, format, args...)
}

func unavailable(what string) error {
	return experiments.Errorf(experiments.CodeUnavailable, "this server has no %s", what)
}
