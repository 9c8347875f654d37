// Package pipeline runs the main job: convert, finetune, replace, abtest, report. Each step is a
// method of Engine that the command line calls alone; Runner joins them into a run, takes over
// finished results and resumes what was cut short.
package pipeline

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"triality/experiments"
	"triality/experiments/graph"
	"triality/experiments/kinds/finetune"
	"triality/runtime/train"
	"triality/runtime/wallclock"
)

// Sink takes what a step says while it works. Implementations need not be safe for concurrent use.
type Sink = graph.Sink

// trainObserver turns a trainer's events into metric points, progress and notes.
type trainObserver struct {
	sink    Sink
	prefix  string // "train", "pretrain", "so8t"
	eval    string // prefix of the evaluation series
	total   int
	started time.Time
	first   int // steps that were done before this call
	err     error
}

func observe(sink Sink, prefix, eval string) *trainObserver {
	return &trainObserver{sink: sink, prefix: prefix, eval: eval}
}

// Start tells where the run begins; what a resumed run did before is logged again, so that a run's
// curves are whole.
func (o *trainObserver) Start(s train.Start) {
	o.total, o.started, o.first = s.TotalSteps, time.Now(), s.ResumedFrom
	if s.ResumedFrom > 0 {
		o.sink.Note(fmt.Sprintf("resumed from the checkpoint of step %d of %d", s.ResumedFrom, s.TotalSteps))
	}
	for _, r := range s.History {
		o.log(r)
	}
	o.sink.Progress(experiments.Progress{Done: int64(s.ResumedFrom), Total: int64(s.TotalSteps), Unit: "steps"})
}

// Record logs the values of a step.
func (o *trainObserver) Record(r train.Record) {
	o.log(r)
	p := experiments.Progress{Done: int64(r.Step), Total: int64(o.total), Unit: "steps"}
	if s := time.Since(o.started).Seconds(); s > 0 {
		p.Rate = float64(r.Step-o.first) / s
	}
	if loss, ok := r.Values["loss"]; ok {
		p.Note = fmt.Sprintf("loss %.4f", loss)
	}
	o.sink.Progress(p)
}

func (o *trainObserver) log(r train.Record) {
	batch := experiments.MetricBatch{}
	now := wallclock.Now().UnixMilli()
	put := func(name string, v float64) {
		batch[o.series(name)] = []experiments.Point{{Step: int64(r.Step), Time: now, Value: v}}
	}
	for name, v := range r.Values {
		put(name, v)
	}
	_, evaluation := r.Values["eval_loss"]
	for name, v := range r.Timing {
		if evaluation {
			name = "eval_" + name // not the training's rate
		}
		put(name, v)
	}
	if err := o.sink.Metrics(batch); err != nil && o.err == nil {
		o.err = err
	}
}

// chosen tells, logs and keeps which evaluation was the best.
func (o *trainObserver) chosen(c *choice, dir string) error {
	o.sink.Note(c.String())
	now := wallclock.Now().UnixMilli()
	name := strings.Replace(c.Metric, o.eval+"/", o.eval+"/best_", 1)
	if err := o.sink.Metrics(experiments.MetricBatch{name: {{Step: int64(c.Step), Time: now, Value: c.Value}}}); err != nil {
		return err
	}
	return graph.WriteJSON(filepath.Join(dir, finetune.ChoiceName), c)
}

// gateValue matches the monitor's values of one SO8T layer.
var gateValue = regexp.MustCompile(`^layers\.(\d+)\.(?:(safe|cmd)\.)?(orthogonality_error|determinant|scale|commutator_norm)$`)

// series names a metric: eval_loss becomes eval/loss, loss train/loss, and layers.2.safe.scale
// so8t/safe_scale/layer_2, so that pages can group layers.
func (o *trainObserver) series(name string) string {
	if m := gateValue.FindStringSubmatch(name); m != nil {
		quantity := strings.TrimSuffix(strings.TrimSuffix(m[3], "_error"), "_norm")
		if m[2] != "" {
			quantity = m[2] + "_" + quantity
		}
		return o.prefix + "/" + quantity + "/layer_" + m[1]
	}
	if rest, ok := strings.CutPrefix(name, "eval_"); ok {
		return o.eval + "/" + rest
	}
	return o.prefix + "/" + name
}

// Checkpoint notes what a reader should know: a damaged checkpoint, or one written on interruption.
func (o *trainObserver) Checkpoint(e train.CheckpointEvent) {
	if e.Action == train.Rejected {
		o.sink.Note(fmt.Sprintf("checkpoint %s is damaged (%s); the one before it is used", e.Path, e.Reason))
	}
}
