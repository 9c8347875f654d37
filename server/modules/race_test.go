//go:build race

package modules_test

// raced says that the race detector is on, which makes all slower by several times and keeps memory of its own.
const raced = true
