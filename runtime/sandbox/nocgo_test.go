//go:build !cgo

package sandbox_test

const withCgo = false
