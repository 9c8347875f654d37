//go:build !race

package train

// raceDetector says that the tests run under the race detector, which keeps memory of its own.
const raceDetector = false
