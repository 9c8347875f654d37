// Package worker runs one job in a process of its own, this program again, so that a job that takes all
// memory, crashes or hangs in a driver takes nothing else with it.
//
// The two sides speak net/rpc over the worker's standard input and output; the worker calls, the parent
// answers: it hands out the job, records for it (experiments.Tracker), and holds one call open until the
// job is to be cancelled. What the worker prints on standard error is its log. A worker whose parent is
// gone cancels its job by itself, and leaves after Grace whatever the job does.
package worker

import (
	"errors"
	"time"

	"triality/experiments"
)

// Arg is the program's only argument when it is started as a worker.
const Arg = "triality-job-worker"

// Job is what a worker is handed.
type Job struct {
	RunID   string
	Config  string // a pipeline, a graph or a notebook
	Dir     string // where its relative paths begin; empty: the parent's folder
	Attempt int    // of the run: 1 is the first
	Resume  bool   // the run has begun before
	Lock    string // file that the job's worker holds, so that an attempt never meets the one before it; absolute
	Grace   time.Duration
	Root    string        // the folder that the worker keeps to, its configuration's relative paths' too; empty: none
	Memory  int64         // the most bytes that the worker may hold, which the parent watches; 0: not known
	Copies  bool          // the files that it reads are copies of another machine's, which counts the looks at them
	Plan    bool          // only say what would be done: a JSON list of steps as an artifact
	Ahead   time.Duration // how far the clock that records go by is ahead of this machine's
	Lease   time.Duration // for how long the job may go on unless its parent, asked again and again, prolongs it; 0: for good
	// Devices are the numbers of the machine's cards that the job may use; none: as its configuration says.
	Devices []int
	// Card is the memory that the job is known to need of a card, in bytes; 0: not known.
	Card int64
	// Shared is the store of results that the job shares with others; its zero value: none.
	Shared Shared
}

// Shared names a store of results that a team shares.
type Shared struct {
	Where  string // a folder, absolute, or a bucket's address; empty: there is none
	Region string // of the bucket; empty: asked for
	By     string // who makes results here; empty: USER@HOST
}

// Failure is how a job's own error travels between the processes.
type Failure struct {
	Code         experiments.Code
	Message      string
	Memory, Card int64 // of a shortage
}

func failureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	f := &Failure{Code: experiments.CodeOf(err), Message: err.Error()}
	var short *experiments.Shortage
	if errors.As(err, &short) {
		f.Memory, f.Card = short.Memory, short.Card
	}
	return f
}

// err is the error on this side.
func (f *Failure) err() error {
	if f == nil {
		return nil
	}
	if f.Memory > 0 || f.Card > 0 {
		return experiments.Errorf(f.Code, "%w", &experiments.Shortage{Memory: f.Memory, Card: f.Card, Text: f.Message})
	}
	return experiments.Errorf(f.Code, "%s", f.Message)
}
