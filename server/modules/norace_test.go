//go:build !race

package modules_test

const raced = false
