//go:build race

package cli

// The race detector makes a step take many times as long: fewer kills.
const randomKills = 4

// raceDetector says that it is there: everything takes many times as long.
const raceDetector = true
