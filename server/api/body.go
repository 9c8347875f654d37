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
	"reflect"
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
	send := func(b []byte) error {
		h.Set("Content-Length", strconv.Itoa(len(b))) // which an answer to HEAD would lack
		return c.Blob(status, mediaType, b)
	}
	if len(b) < 1400 || !takesGzip(c.Request().Header.Get("Accept-Encoding")) {
		return send(b)
	}
	small, err := zipped(b, gzip.BestSpeed)
	if err != nil {
		return err
	}
	h.Set("Content-Encoding", "gzip")
	return send(small)
}

func zipped(b []byte, level int) ([]byte, error) {
	var small bytes.Buffer
	z, err := gzip.NewWriterLevel(&small, level)
	if err != nil {
		return nil, err
	}
	_, err = z.Write(b)
	err = errors.Join(err, z.Close())
	return small.Bytes(), err
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

// readJSON reads one JSON value of at most limit bytes into v, and gives its bytes. Unknown fields, keys
// that stand twice and text after the value are errors. The media type must be JSON: pages of other sites
// can send forms without asking first.
func readJSON(c echo.Context, limit int64, v any) ([]byte, error) {
	req := c.Request()
	mt, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil || mt != "application/json" {
		return nil, experiments.Errorf(codeMedia, "Content-Type %q: want application/json", req.Header.Get("Content-Type"))
	}
	if req.ContentLength > limit {
		return nil, &http.MaxBytesError{Limit: limit}
	}
	b, err := io.ReadAll(http.MaxBytesReader(c.Response(), req.Body, limit))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, err
		}
		return nil, invalid("body: it was cut off after %d bytes: %w", len(b), err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	err = dec.Decode(v)
	if err == nil {
		end := dec.InputOffset()
		if len(bytes.TrimLeft(b[end:], " \t\r\n")) == 0 {
			if err = uniqueKeys(b[:end], reflect.TypeOf(v)); err == nil {
				return b, nil
			}
		} else {
			err = errors.New("text after the JSON value")
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("the JSON value has no end")
	}
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		at := ""
		if kind.Field != "" {
			at = kind.Field + ": "
		}
		err = fmt.Errorf("%swant %s, not a JSON %s", at, kindName(kind.Type), kind.Value)
	}
	return nil, invalid("body: %s", strings.TrimPrefix(err.Error(), "json: "))
}

// kindName is a Go type in JSON's words.
func kindName(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number"
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
