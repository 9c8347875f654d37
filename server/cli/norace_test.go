//go:build !race

package cli

const randomKills = 8
