// Package experiments is the domain: experiments, runs, metrics, artifacts, metric modules, A/B
// results, and the interfaces this layer needs of a store. It knows nothing of HTTP or bbolt.
package experiments
