//go:build race

package tablefile_test

// raced says that the race detector is on.
const raced = true
