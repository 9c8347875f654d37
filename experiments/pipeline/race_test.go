//go:build race

package pipeline

// raceDetector says that the tests run under the race detector, which makes large models slow.
const raceDetector = true
