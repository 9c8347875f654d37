package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/rpc"
	"time"

	"triality/experiments"
)

// remote is the tracker as a worker has it: each call goes to a Host.
type remote struct {
	call  func(ctx context.Context, method string, args, reply any) error
	moved time.Time // when progress was told last
}

var _ experiments.Tracker = (*remote)(nil)

// parent is the way to the process that started this one. A call that is given up leaves its reply to nobody.
type parent struct{ client *rpc.Client }

func (p parent) call(ctx context.Context, method string, args, reply any) error {
	select {
	case c := <-p.client.Go("Host."+method, args, reply, make(chan *rpc.Call, 1)).Done:
		if c.Error != nil {
			return experiments.Errorf(experiments.CodeUnavailable, "%s: the process that keeps the records is gone: %w", method, c.Error)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *remote) EnsureExperiment(ctx context.Context, name string) (experiments.Experiment, error) {
	var reply ExperimentReply
	if err := r.call(ctx, "EnsureExperiment", name, &reply); err != nil {
		return experiments.Experiment{}, err
	}
	return reply.Experiment, reply.Failure.err()
}

func (r *remote) Run(ctx context.Context, id string) (experiments.Run, error) {
	var reply RunReply
	if err := r.call(ctx, "Run", id, &reply); err != nil {
		return experiments.Run{}, err
	}
	return reply.Run, reply.Failure.err()
}

func (r *remote) SaveRun(ctx context.Context, run experiments.Run) error {
	return r.result(ctx, "SaveRun", run)
}

// result is a call whose reply is an error or nothing.
func (r *remote) result(ctx context.Context, method string, args any) error {
	var reply Result
	if err := r.call(ctx, method, args, &reply); err != nil {
		return err
	}
	return reply.Failure.err()
}

func (r *remote) LogMetrics(ctx context.Context, run string, batch experiments.MetricBatch) error {
	return r.result(ctx, "LogMetrics", Points{Run: run, Batch: batch})
}

func (r *remote) RestartMetrics(ctx context.Context, run string, batch experiments.MetricBatch) error {
	return r.result(ctx, "LogMetrics", Points{Run: run, Batch: batch, Fresh: true})
}

// between bounds how often progress is told: a small model takes thousands of steps a second.
const between = 50 * time.Millisecond

func (r *remote) Progress(run, step string, p experiments.Progress) {
	if now := time.Now(); now.Sub(r.moved) >= between || p.Done == p.Total {
		r.moved = now
		// Nothing is lost with it, and a parent that is gone ends the job by itself.
		_ = r.call(context.Background(), "Progress", Moved{run, step, p}, &None{})
	}
}

// maxArtifact bounds an artifact on its way to the parent; a report has a few megabytes, an adapter some
// hundred.
const maxArtifact = 1 << 30

func (r *remote) SaveArtifact(ctx context.Context, run, path, mediaType string, from io.Reader) (experiments.Artifact, error) {
	content, err := io.ReadAll(io.LimitReader(from, maxArtifact+1))
	if err != nil {
		return experiments.Artifact{}, fmt.Errorf("read artifact %s: %w", path, err)
	}
	if len(content) > maxArtifact {
		return experiments.Artifact{}, experiments.Errorf(experiments.CodeTooLarge, "artifact %s has more than %d bytes", path, maxArtifact)
	}
	var reply ArtifactReply
	if err := r.call(ctx, "SaveArtifact", Upload{Run: run, Path: path, MediaType: mediaType, Content: content}, &reply); err != nil {
		return experiments.Artifact{}, err
	}
	return reply.Artifact, reply.Failure.err()
}

func (r *remote) Module(ctx context.Context, sum string) (record experiments.Module, wasm []byte, err error) {
	var reply ModuleReply
	if err := r.call(ctx, "Module", sum, &reply); err != nil {
		return record, nil, err
	}
	if err := reply.Failure.err(); err != nil {
		return record, nil, err
	}
	err = json.Unmarshal(reply.Record, &record)
	return record, reply.Wasm, err
}

func (r *remote) UseModule(ctx context.Context, run string, m experiments.Module, wasm []byte) error {
	record, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("module %s: %w", m.Name, err)
	}
	return r.result(ctx, "UseModule", Use{Run: run, Record: record, Wasm: wasm})
}

// counting is a remote whose parent counts looks.
type counting struct{ *remote }

var _ Tracker = counting{}

func (r counting) CountLook(ctx context.Context, run, path string, l experiments.Look) (experiments.Looks, error) {
	var reply LooksReply
	if err := r.call(ctx, "CountLook", Looked{Run: run, Path: path, Look: l}, &reply); err != nil {
		return experiments.Looks{}, err
	}
	return reply.Looks, reply.Failure.err()
}
