package worker

import (
	"context"
	"encoding/json"

	"triality/experiments"
)

// Question asks for what other runs have: the one of Find, Metric and Path that is given.
type Question struct {
	Find              *experiments.RunQuery
	Run, Metric, Path string
}

// QuestionReply is Read's reply. The rows are JSON, since their values may be of any kind.
type QuestionReply struct {
	Result
	Rows   []byte
	Points []experiments.Point
	File   []byte
}

// Read is the tracker's, where its runs can be read; a worker of another machine reads no other run than its own.
func (h *Host) Read(q Question, reply *QuestionReply) (err error) {
	reader, ok := h.tracker.(experiments.RunReader)
	switch {
	case h.stranger:
		err = experiments.Errorf(experiments.CodeUnavailable, "a worker of another machine reads no runs: run cells that look at runs on the server's")
	case !ok:
		err = experiments.Errorf(experiments.CodeUnavailable, "the runs of this tracker cannot be read")
	case q.Find != nil:
		var rows experiments.Rows
		if rows, err = reader.FindRuns(h.ctx, *q.Find); err == nil {
			reply.Rows, err = json.Marshal(rows)
		}
	case q.Metric != "":
		reply.Points, err = reader.RunSeries(h.ctx, q.Run, q.Metric)
	default:
		reply.File, err = reader.RunFile(h.ctx, q.Run, q.Path)
	}
	return reply.answer(err)
}

var _ experiments.RunReader = (*remote)(nil)

func (r *remote) ask(ctx context.Context, q Question) (QuestionReply, error) {
	var reply QuestionReply
	if err := r.call(ctx, "Read", q, &reply); err != nil {
		return reply, err
	}
	return reply, reply.Failure.err()
}

func (r *remote) FindRuns(ctx context.Context, q experiments.RunQuery) (out experiments.Rows, err error) {
	reply, err := r.ask(ctx, Question{Find: &q})
	if err == nil {
		err = json.Unmarshal(reply.Rows, &out)
	}
	return out, err
}

func (r *remote) RunSeries(ctx context.Context, run, metric string) ([]experiments.Point, error) {
	reply, err := r.ask(ctx, Question{Run: run, Metric: metric})
	return reply.Points, err
}

func (r *remote) RunFile(ctx context.Context, run, path string) ([]byte, error) {
	reply, err := r.ask(ctx, Question{Run: run, Path: path})
	return reply.File, err
}
