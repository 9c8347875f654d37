// Package fleet runs jobs on other machines: Server hands them out, Agent takes them there (`triality worker`).
// The two speak NATS, of a server inside this program or of a cluster.
//
// What a worker is to run is a key of its own in a JetStream key-value bucket, written by the server alone and
// watched by the worker: a level, not a message, so nothing is delivered twice and nothing hangs on an
// acknowledgement. Everything else the worker asks: it joins, renews its lease, and calls the methods of its
// job with run and attempt. The server answers a call of an attempt that is not the current one with
// worker.ErrFenced, and the worker kills the job. bbolt stays the truth of what waits and runs; the bucket can
// be made anew from it.
//
// No clock is compared with another machine's: either side measures durations on its own.
package fleet

import "time"

// DefaultLease is how long a worker goes on with its jobs without hearing of the server.
const DefaultLease = 30 * time.Second

// Timing is how long things take, made of the lease.
type Timing struct{ Lease time.Duration }

// Every is how often a worker renews its lease.
func (t Timing) Every() time.Duration { return t.Lease / 8 }

// Grace is how long a job has to leave a checkpoint when the lease has lapsed.
func (t Timing) Grace() time.Duration { return min(t.Lease/4, 8*time.Second) }

// GivenAway is after how long without hearing of a worker the server gives its jobs away: the worker has
// stopped them by then, with a quarter of the lease to spare.
func (t Timing) GivenAway() time.Duration { return t.Lease + t.Grace() + t.Lease/4 }
