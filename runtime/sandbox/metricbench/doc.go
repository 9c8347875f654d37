// Package metricbench measures metric modules against the same metrics in
// native Go, in the same run: a large table with the transfer included, a
// small one, and the time from starting a worker to a first result.
package metricbench
