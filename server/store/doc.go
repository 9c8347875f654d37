// Package store keeps experiments, runs, metric points, artifacts, metric modules and the event log in
// one bbolt file with content-addressed files beside it. One goroutine writes, in group commits; a
// write is acknowledged after its commit is durable. docs/store-format.md describes the files.
package store
