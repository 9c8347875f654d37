package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"triality/experiments"
)

// Host is the parent's side of the conversation: the methods that a worker calls. Each has the form that
// net/rpc wants.
type Host struct {
	ctx       context.Context // ends when the process is gone
	job       Job
	tracker   experiments.Tracker
	cancelled <-chan struct{}
	left      func() time.Duration
	stranger  bool // the worker is of another machine, which reads no other run than its own

	mu     sync.Mutex
	done   bool // the worker said how the job ended
	result *Failure
}

// None is an argument or reply without content.
type None struct{}

// Job hands out the job.
func (h *Host) Job(_ None, job *Job) error {
	*job = h.job
	if h.left != nil {
		job.Lease = max(h.left(), 1)
	}
	return nil
}

// Cancelled answers when the job is to stop, or when the process is gone.
func (h *Host) Cancelled(None, *None) error {
	select {
	case <-h.cancelled:
		return nil
	case <-h.ctx.Done():
		return h.ctx.Err()
	}
}

// Left says for how long the job may go on, where it is leased.
func (h *Host) Left(_ None, left *time.Duration) error {
	if h.left == nil {
		return errors.New("the job has no lease")
	}
	*left = h.left()
	return nil
}

// Done says how the job ended; the worker leaves after it.
func (h *Host) Done(result Result, _ *None) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done, h.result = true, result.Failure
	return nil
}

// outcome is what Done said.
func (h *Host) outcome() (said bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.done, h.result.err()
}

// Result is a reply that may be an error of the parent's.
type Result struct{ Failure *Failure }

// answer puts an error into a reply: net/rpc would keep its text alone.
func (r *Result) answer(err error) error {
	r.Failure = failureOf(err)
	return nil
}

// errOther refuses what concerns another run than the worker's own and its parts.
var errOther = errors.New("a worker records its own run and no other")

func (h *Host) own(run string) error {
	if run != h.job.RunID && !experiments.IsPart(run, h.job.RunID) {
		return experiments.Errorf(experiments.CodeInvalid, "run %s: %w", run, errOther)
	}
	return nil
}

// ExperimentReply is EnsureExperiment's reply.
type ExperimentReply struct {
	Result
	Experiment experiments.Experiment
}

// EnsureExperiment is the tracker's.
func (h *Host) EnsureExperiment(name string, reply *ExperimentReply) (err error) {
	reply.Experiment, err = h.tracker.EnsureExperiment(h.ctx, name)
	return reply.answer(err)
}

// RunReply is Run's reply.
type RunReply struct {
	Result
	Run experiments.Run
}

// Run is the tracker's; a worker of this machine may read any run, since it takes over what others finished.
func (h *Host) Run(id string, reply *RunReply) (err error) {
	if h.stranger {
		err = h.own(id)
	}
	if err == nil {
		reply.Run, err = h.tracker.Run(h.ctx, id)
	}
	return reply.answer(err)
}

// SaveRun is the tracker's.
func (h *Host) SaveRun(run experiments.Run, reply *Result) error {
	err := h.own(run.ID)
	if err == nil {
		err = h.tracker.SaveRun(h.ctx, run)
	}
	return reply.answer(err)
}

// Points are metric points of a run.
type Points struct {
	Run   string
	Batch experiments.MetricBatch
	Fresh bool // the series begin anew
}

// LogMetrics is the tracker's, and RestartMetrics where the series begin anew.
func (h *Host) LogMetrics(p Points, reply *Result) error {
	err := h.own(p.Run)
	switch {
	case err != nil:
	case p.Fresh:
		err = h.tracker.RestartMetrics(h.ctx, p.Run, p.Batch)
	default:
		err = h.tracker.LogMetrics(h.ctx, p.Run, p.Batch)
	}
	return reply.answer(err)
}

// Moved is how far a step is.
type Moved struct {
	Run      string
	Step     string
	Progress experiments.Progress
}

// Progress is the tracker's.
func (h *Host) Progress(m Moved, _ *None) error {
	if h.own(m.Run) == nil {
		h.tracker.Progress(m.Run, m.Step, m.Progress)
	}
	return nil
}

// Upload is an artifact whole: those of a step are small.
type Upload struct {
	Run, Path, MediaType string
	Content              []byte
}

// ArtifactReply is SaveArtifact's reply.
type ArtifactReply struct {
	Result
	Artifact experiments.Artifact
}

// SaveArtifact is the tracker's.
func (h *Host) SaveArtifact(u Upload, reply *ArtifactReply) (err error) {
	if err = h.own(u.Run); err == nil {
		reply.Artifact, err = h.tracker.SaveArtifact(h.ctx, u.Run, u.Path, u.MediaType, bytes.NewReader(u.Content))
	}
	return reply.answer(err)
}

// ModuleReply is Module's reply. The record is JSON, since its parameters may be of any kind.
type ModuleReply struct {
	Result
	Record []byte
	Wasm   []byte
}

// Module is the tracker's.
func (h *Host) Module(sum string, reply *ModuleReply) error {
	record, wasm, err := h.tracker.Module(h.ctx, sum)
	if err == nil {
		reply.Wasm = wasm
		reply.Record, err = json.Marshal(record)
	}
	return reply.answer(err)
}

// Use is a module that the run used.
type Use struct {
	Run    string
	Record []byte // JSON
	Wasm   []byte
}

// UseModule is the tracker's.
func (h *Host) UseModule(u Use, reply *Result) error {
	var record experiments.Module
	err := h.own(u.Run)
	if err == nil {
		err = json.Unmarshal(u.Record, &record)
	}
	if err == nil {
		err = h.tracker.UseModule(h.ctx, u.Run, record, u.Wasm)
	}
	return reply.answer(err)
}

// Looked is a look at a test set.
type Looked struct {
	Run, Path string
	Look      experiments.Look
}

// LooksReply is CountLook's reply.
type LooksReply struct {
	Result
	Looks experiments.Looks
}

// CountLook is the tracker's, where it counts looks.
func (h *Host) CountLook(l Looked, reply *LooksReply) error {
	err := h.own(l.Run)
	counter, ok := h.tracker.(experiments.LookCounter)
	if err == nil && !ok {
		err = experiments.Errorf(experiments.CodeInvalid, "the looks of a job that reads this machine's own files are counted beside them")
	}
	if err == nil {
		reply.Looks, err = counter.CountLook(h.ctx, l.Run, l.Path, l.Look)
	}
	return reply.answer(err)
}
