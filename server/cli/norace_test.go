//go:build !race

package cli

const (
	killEpochs  = 2
	randomKills = 8
)
