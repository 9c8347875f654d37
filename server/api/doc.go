// Package api serves /api/v1, its events and the web pages over HTTP. Everything it tells a client about
// a failure goes through one place, errors.go; everything it promises stands in its OpenAPI document,
// which a test holds to the routes.
package api
