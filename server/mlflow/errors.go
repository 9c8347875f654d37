package mlflow

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"triality/experiments"
)

// MLflow's error codes, as clients look for them.
const (
	codeInvalid     = "INVALID_PARAMETER_VALUE"
	codeNotFound    = "RESOURCE_DOES_NOT_EXIST"
	codeExists      = "RESOURCE_ALREADY_EXISTS"
	codeState       = "INVALID_STATE"
	codeInternal    = "INTERNAL_ERROR"
	codeBusy        = "TEMPORARILY_UNAVAILABLE"
	codeUnbuilt     = "NOT_IMPLEMENTED"
	codeNoEndpoint  = "ENDPOINT_NOT_FOUND"
	codeTooLarge    = "REQUEST_LIMIT_EXCEEDED"
	codeUnknownDone = "DEADLINE_EXCEEDED"
)

// failure is an error in MLflow's form.
type failure struct {
	status  int
	Code    string `json:"error_code"`
	Message string `json:"message"`
}

func (f *failure) Error() string { return f.Code + ": " + f.Message }

func invalid(format string, args ...any) error {
	return &failure{http.StatusBadRequest, codeInvalid, fmt.Sprintf(format, args...)}
}

func missing(format string, args ...any) error {
	return &failure{http.StatusNotFound, codeNotFound, fmt.Sprintf(format, args...)}
}

// failureOf is what a client may know of an error; hidden says that the rest belongs in the log.
func failureOf(err error) (f *failure, hidden bool) {
	var large *http.MaxBytesError
	var he *echo.HTTPError
	switch {
	case errors.As(err, &f):
		return f, false
	case errors.As(err, &large):
		return &failure{http.StatusRequestEntityTooLarge, codeTooLarge, fmt.Sprintf("the body is larger than %d bytes", large.Limit)}, false
	case errors.As(err, &he) && he.Code < http.StatusInternalServerError:
		return &failure{he.Code, codeNoEndpoint, fmt.Sprint(he.Message)}, false
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &failure{http.StatusServiceUnavailable, codeBusy, "the request was cut short"}, false
	}
	switch experiments.CodeOf(err) {
	case experiments.CodeInvalid:
		return &failure{http.StatusBadRequest, codeInvalid, err.Error()}, false
	case experiments.CodeNotFound:
		return &failure{http.StatusNotFound, codeNotFound, err.Error()}, false
	case experiments.CodeConflict:
		return &failure{http.StatusBadRequest, codeState, err.Error()}, false
	case experiments.CodeTooLarge:
		return &failure{http.StatusRequestEntityTooLarge, codeTooLarge, err.Error()}, false
	case experiments.CodeUnavailable:
		return &failure{http.StatusServiceUnavailable, codeBusy, err.Error()}, false
	case experiments.CodeUnknown: // a client asks again; points that were stored are not stored twice
		return &failure{http.StatusGatewayTimeout, codeUnknownDone, err.Error()}, false
	}
	return &failure{http.StatusInternalServerError, codeInternal, "internal error; the server's log has the details"}, true
}
