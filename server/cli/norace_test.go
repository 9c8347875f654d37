//go:build !race

package cli

const killEpochs = 2
