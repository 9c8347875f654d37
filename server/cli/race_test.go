//go:build race

package cli

// killEpochs is smaller under the race detector, where a step takes many times as long.
const killEpochs = 1
