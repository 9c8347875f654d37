package worker

import (
	"bytes"
	"context"
	"encoding/gob"
	"fmt"

	"triality/experiments"
)

// Caller has the Host of another process answer a method: args and the answer are as Answer takes and gives
// them.
type Caller func(ctx context.Context, method string, args []byte) ([]byte, error)

// Tracker is that of a job whose files are copies of another machine's.
type Tracker interface {
	experiments.Tracker
	experiments.LookCounter
}

// NewTracker gives the tracker whose calls go to a Host elsewhere.
func NewTracker(c Caller) Tracker {
	return counting{&remote{call: func(ctx context.Context, method string, args, reply any) error {
		var b bytes.Buffer
		if err := gob.NewEncoder(&b).Encode(args); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		answer, err := c(ctx, method, b.Bytes())
		if err != nil {
			return err
		}
		if err := gob.NewDecoder(bytes.NewReader(answer)).Decode(reply); err != nil {
			return fmt.Errorf("%s: answer: %w", method, err)
		}
		return nil
	}}}
}

// NewHost gives a host that records a job for a worker of another machine; ctx is that of all its work.
func NewHost(ctx context.Context, job Job, tracker experiments.Tracker) *Host {
	return &Host{ctx: ctx, job: job, tracker: tracker, stranger: true}
}

// Answer calls one of the tracker's methods by its name, with gob on either side.
func (h *Host) Answer(method string, args []byte) ([]byte, error) {
	answer, ok := map[string]func([]byte) ([]byte, error){
		"EnsureExperiment": decoded(h.EnsureExperiment),
		"Run":              decoded(h.Run),
		"SaveRun":          decoded(h.SaveRun),
		"LogMetrics":       decoded(h.LogMetrics),
		"Progress":         decoded(h.Progress),
		"SaveArtifact":     decoded(h.SaveArtifact),
		"Module":           decoded(h.Module),
		"UseModule":        decoded(h.UseModule),
		"CountLook":        decoded(h.CountLook),
		"Read":             decoded(h.Read),
	}[method]
	if !ok {
		return nil, experiments.Errorf(experiments.CodeInvalid, "no method %.40q", method)
	}
	return answer(args)
}

func decoded[A, R any](method func(A, *R) error) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		var args A
		var reply R
		if err := gob.NewDecoder(bytes.NewReader(b)).Decode(&args); err != nil {
			return nil, experiments.Errorf(experiments.CodeInvalid, "arguments: %w", err)
		}
		if err := method(args, &reply); err != nil {
			return nil, err
		}
		var out bytes.Buffer
		err := gob.NewEncoder(&out).Encode(reply)
		return out.Bytes(), err
	}
}

// Nothing is the answer of a method without one, as Answer gives it.
func Nothing() []byte {
	var out bytes.Buffer
	_ = gob.NewEncoder(&out).Encode(None{}) // into memory
	return out.Bytes()
}
