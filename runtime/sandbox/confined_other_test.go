//go:build !linux

package sandbox_test

const confined = "TRIALITY_TEST_CONFINED"

func confinedMain(string) int { return 1 }
