//go:build !race

package graph

const deepLayers = 300
