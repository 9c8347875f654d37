package transfer

import (
	"context"
	"errors"
	"fmt"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/objects"
)

// Serve answers a call of an attempt's worker. It may be called concurrently.
func (s *Server) Serve(ctx context.Context, run string, attempt int, method string, args []byte) ([]byte, error) {
	j, err := s.job(run, attempt)
	if err != nil {
		return nil, err
	}
	var reply any
	switch method {
	case methodDescribe:
		reply = j.describedAs()
	case methodRead:
		reply, err = answer(args, func(a readArgs) (*readReply, error) { return s.read(j, a) })
	case methodHave:
		reply, err = answer(args, func(a haveArgs) (haveReply, error) { return j.have(ctx, a) })
	case methodWrite:
		reply, err = answerTailed(args, func(a *writeArgs) (haveReply, error) { return j.uploads.write(ctx, a) })
	case methodCommit:
		reply, err = answer(args, func(a commitArgs) (none, error) { return none{}, s.commit(ctx, j, a) })
	case methodLink:
		reply, err = answer(args, func(a linkArgs) (linkReply, error) { return s.link(ctx, j, a) })
	case methodAdopt:
		reply, err = answer(args, func(a linkArgs) (adoptReply, error) { return s.adopt(ctx, j, a) })
	default:
		err = experiments.Errorf(experiments.CodeInvalid, "there is no method %.40q", method)
	}
	if err != nil {
		return nil, err
	}
	return Marshal(reply)
}

func (j *job) describedAs() described {
	j.committing.Lock()
	defer j.committing.Unlock()
	return described{ID: j.described, Seq: j.record.Seq}
}

func answer[A, R any](args []byte, do func(A) (R, error)) (reply R, err error) {
	var a A
	if err = Unmarshal(args, &a); err == nil {
		reply, err = do(a)
	}
	return reply, err
}

func answerTailed(args []byte, do func(*writeArgs) (haveReply, error)) (reply haveReply, err error) {
	var a writeArgs
	if err = Unmarshal(args, &a); err == nil {
		reply, err = do(&a)
	}
	return reply, err
}

// check refuses stretches that are not within their objects, or more than one message may carry.
func check(pieces []piece) error {
	total := 0
	if len(pieces) > maxPieces {
		return experiments.Errorf(experiments.CodeTooLarge, "%d pieces in one message, at most %d", len(pieces), maxPieces)
	}
	for _, p := range pieces {
		if err := p.ID.Check(); err != nil {
			return err
		}
		if p.Offset < 0 || p.Length < 0 || p.Length > maxPayload || p.Offset > p.Size-int64(p.Length) {
			return experiments.Errorf(experiments.CodeInvalid, "bytes %d to %d of an object of %d", p.Offset, p.Offset+int64(p.Length), p.Size)
		}
		if total += p.Length; total > maxPayload {
			return experiments.Errorf(experiments.CodeTooLarge, "%d bytes in one message, at most %d", total, maxPayload)
		}
	}
	return nil
}

// read gives stretches of the job's own files.
func (s *Server) read(j *job, a readArgs) (*readReply, error) {
	if err := check(a.Pieces); err != nil {
		return nil, err
	}
	total := 0
	for _, p := range a.Pieces {
		total += p.Length
	}
	out, at := make([]byte, total), 0
	for _, p := range a.Pieces {
		if err := s.readPiece(j, p, out[at:at+p.Length]); err != nil {
			return nil, err
		}
		at += p.Length
	}
	return &readReply{Data: out}, nil
}

func (s *Server) readPiece(j *job, p piece, into []byte) (err error) {
	j.mu.Lock()
	text, ok := j.offered[p.ID]
	j.mu.Unlock()
	if ok {
		copy(into, text[p.Offset:])
		return nil
	}
	src, ok := j.sources[p.ID]
	if !ok {
		return experiments.Errorf(experiments.CodeNotFound, "object %.12s is no file of run %s", p.SHA256, j.run)
	}
	f, err := disk.OpenRegular(src.path)
	if err != nil {
		return experiments.Errorf(experiments.CodeConflict, "an input is gone since the run began: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = f.ReadAt(into, p.Offset)
	info, statErr := f.Stat()
	if statErr == nil && s.hashes.stateOf(info) != src.at {
		return experiments.Errorf(experiments.CodeConflict, "%s changed since the run's inputs were hashed; start the run again", src.path)
	}
	if err = errors.Join(err, statErr); err != nil {
		return fmt.Errorf("read %s: %w", src.path, err)
	}
	return nil
}

// have says what is there of the objects that the worker wants to send.
func (j *job) have(ctx context.Context, a haveArgs) (haveReply, error) {
	if len(a.IDs) > maxPieces {
		return haveReply{}, experiments.Errorf(experiments.CodeTooLarge, "%d objects in one message, at most %d", len(a.IDs), maxPieces)
	}
	there, err := j.store.Has(ctx, a.IDs)
	if err != nil {
		return haveReply{}, err
	}
	out := haveReply{At: make([]int64, len(a.IDs))}
	for i, id := range a.IDs {
		if there[i] {
			out.At[i] = whole
			continue
		}
		if out.At[i], err = j.uploads.size(ctx, id); err != nil {
			return out, err
		}
	}
	return out, nil
}

// bytesOf reads a small object of the run's whole.
func (j *job) bytesOf(ctx context.Context, id objects.ID, limit int64) ([]byte, error) {
	if id.Size > limit {
		return nil, experiments.Errorf(experiments.CodeTooLarge, "object %.12s has %d bytes, at most %d", id.SHA256, id.Size, limit)
	}
	r, err := j.store.Open(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readWhole(r, id)
}
