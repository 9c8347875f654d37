//go:build !race

package tablefile_test

const raced = false
