//go:build !race

package cli

const randomKills = 8

// raceDetector says that it is there.
const raceDetector = false
