package api

import (
	"context"
	"crypto/sha256"

	"github.com/labstack/echo/v4"

	"triality/server/store"
)

// Headers of requests that are done once. The first is that of the IETF's draft
// draft-ietf-httpapi-idempotency-key-header.
const (
	onceHeader     = "Idempotency-Key"
	replayedHeader = "Idempotency-Replayed"
)

// once is the request's context, in which a write is done once for all requests with the same
// Idempotency-Key. replayed sets the answer's header; call it when the write was done.
func once(c echo.Context, body []byte) (ctx context.Context, replayed func(), err error) {
	req := c.Request()
	keys := req.Header.Values(onceHeader)
	switch {
	case len(keys) == 0:
		return req.Context(), func() {}, nil
	case len(keys) > 1:
		return nil, nil, invalid("%s: there are %d of them; a request has one", onceHeader, len(keys))
	case keys[0] == "" || len(keys[0]) > store.MaxRequestKey:
		return nil, nil, invalid("%s of %d bytes: want 1 to %d, a UUID say", onceHeader, len(keys[0]), store.MaxRequestKey)
	}
	r := &store.Request{Key: keys[0], Of: req.Method + " " + req.URL.Path, Digest: sha256.Sum256(body)}
	return store.WithRequest(req.Context(), r), func() {
		if r.Replayed {
			c.Response().Header().Set(replayedHeader, "true")
		}
	}, nil
}
