//go:build race

package cli

// The race detector makes a step take many times as long: fewer kills.
const randomKills = 4
