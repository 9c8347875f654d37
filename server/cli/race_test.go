//go:build race

package cli

// The race detector makes a step take many times as long: fewer of them, and fewer kills.
const (
	killEpochs  = 1
	randomKills = 4
)
