package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"triality/experiments"
	"triality/server/events/wire"
)

// sendJSON answers with v; numbers that are not finite become null.
func sendJSON(c echo.Context, status int, v any) error {
	b, err := wire.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode an answer: %w", err)
	}
	return sendBytes(c, status, jsonType, append(b, '\n'))
}

const jsonType = "application/json; charset=utf-8"

// sendBytes answers with b, compressed where the client takes it and it pays.
func sendBytes(c echo.Context, status int, mediaType string, b []byte) error {
	h := c.Response().Header()
	h.Add("Vary", "Accept-Encoding")
	if len(b) < 1400 || !takesGzip(c.Request().Header.Get("Accept-Encoding")) {
		return c.Blob(status, mediaType, b)
	}
	var small bytes.Buffer
	z, err := gzip.NewWriterLevel(&small, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if _, err := z.Write(b); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	h.Set("Content-Encoding", "gzip")
	return c.Blob(status, mediaType, small.Bytes())
}

func takesGzip(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if strings.TrimSpace(name) == "gzip" {
			q, found := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			return !found || strings.Trim(q, "0.") != ""
		}
	}
	return false
}

// list is the body of every list.
type list[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next_cursor"`
}

// readJSON reads one JSON value of at most limit bytes into v. Unknown fields and text after the value
// are errors. The media type must be JSON: pages of other sites can send forms without asking first.
func readJSON(c echo.Context, limit int64, v any) error {
	req := c.Request()
	mt, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || mt != "application/json" {
		return experiments.Errorf(codeMedia, "Content-Type %q: want application/json", req.Header.Get("Content-Type"))
	}
	dec := json.NewDecoder(http.MaxBytesReader(c.Response(), req.Body, limit))
	dec.DisallowUnknownFields()
	err = dec.Decode(v)
	if err == nil {
		var rest json.RawMessage
		if err = dec.Decode(&rest); err == nil {
			err = errors.New("text after the JSON value")
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return err
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty")
	}
	return invalid("body: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// param is a path parameter, unescaped.
func param(c echo.Context, name string) (string, error) {
	v := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return v, nil // net/http unescaped it already
	}
	out, err := url.PathUnescape(v)
	if err != nil {
		return "", invalid("path: %w", err)
	}
	return out, nil
}

// intQuery is a query parameter between low and high, or def when it is absent.
func intQuery(c echo.Context, name string, def, low, high int) (int, error) {
	v := c.QueryParam(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, invalid("%s=%.40q: want a whole number from %d to %d", name, v, low, high)
	}
	return n, nil
}

// Limits of parameters and tags, those of MLflow's API.
const (
	maxPairs       = 1000
	maxPairKey     = 250
	maxPairValue   = 6000
	maxDescription = 20_000
)

// merge applies a patch to a map of parameters or tags: null removes a key, others keep theirs.
func merge(what string, old map[string]string, patch map[string]*string) (map[string]string, error) {
	if len(patch) == 0 {
		return old, nil
	}
	out := make(map[string]string, len(old)+len(patch))
	for k, v := range old {
		out[k] = v
	}
	for k, v := range patch {
		switch {
		case v == nil:
			delete(out, k)
			continue
		case k == "" || len(k) > maxPairKey:
			return nil, invalid("%s: key %.40q: want 1 to %d bytes", what, k, maxPairKey)
		case len(*v) > maxPairValue:
			return nil, invalid("%s: value of %q has %d bytes, at most %d", what, k, len(*v), maxPairValue)
		}
		out[k] = *v
	}
	if len(out) > maxPairs {
		return nil, invalid("%s: %d entries, at most %d", what, len(out), maxPairs)
	}
	return out, nil
}
