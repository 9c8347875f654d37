//go:build race

package graph

// deepLayers is smaller where the race detector slows the build some sixtyfold.
const deepLayers = 60
