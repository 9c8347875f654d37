package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/objects"
)

// Large files may go through a bucket that both sides reach: the worker gets links to single objects, never a key. What
// comes that way is held to its hash like anything else.
const (
	methodLink  = "link"  // linkArgs → linkReply
	methodAdopt = "adopt" // linkArgs → adoptReply: the object that the link wrote is one of the attempt's

	// bucketFrom is the size from which a file goes through the bucket.
	bucketFrom = 8 << 20
	// inputsStay is how long an input stays in the bucket: the next job has it there.
	inputsStay = 30 * 24 * time.Hour
)

type linkArgs struct {
	ID    objects.ID
	Write bool
}

type linkReply struct{ URL string }

// adoptReply says why an object was refused, empty where it was not.
type adoptReply struct{ Refused string }

func inputKey(id objects.ID) string { return "inputs/" + id.SHA256 }

func (j *job) key(id objects.ID) string {
	return "runs/" + j.run + "/" + strconv.Itoa(j.attempt) + "/" + id.SHA256
}

// moves are what is on its way between the server and the bucket: a call begins one, the next ones ask for its end.
type moves struct {
	ctx  context.Context // of the attempt
	stop context.CancelFunc
	mu   chan struct{} // held while under is used
	at   map[string]*move
}

type move struct {
	done chan struct{}
	err  error
}

func newMoves() *moves {
	m := &moves{mu: make(chan struct{}, 1), at: map[string]*move{}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	return m
}

// once does something long in the background and answers CodeUnavailable until it is done. What failed is tried again by
// the next call.
func (m *moves) once(name string, do func(ctx context.Context) error) error {
	m.mu <- struct{}{}
	defer func() { <-m.mu }()
	x := m.at[name]
	if x == nil {
		x = &move{done: make(chan struct{})}
		m.at[name] = x
		go func() {
			defer close(x.done)
			x.err = do(m.ctx)
		}()
	}
	select {
	case <-x.done:
		if x.err != nil {
			delete(m.at, name)
		}
		return x.err
	case <-time.After(100 * time.Millisecond):
		return experiments.Errorf(experiments.CodeUnavailable, "the bucket and the server exchange %s", name)
	}
}

// link gives a link to an object of the job's.
func (s *Server) link(ctx context.Context, j *job, a linkArgs) (reply linkReply, err error) {
	if err := a.ID.Check(); err != nil {
		return reply, err
	}
	if s.bucket == nil {
		return reply, experiments.Errorf(experiments.CodeInvalid, "the server has no bucket")
	}
	if a.Write {
		reply.URL, err = s.bucket.WriteLink(ctx, j.key(a.ID))
		return reply, err
	}
	src, ok := j.sources[a.ID]
	if !ok {
		return reply, experiments.Errorf(experiments.CodeNotFound, "object %.12s is no file of run %s", a.ID.SHA256, j.run)
	}
	if err := j.moves.once(inputKey(a.ID), func(ctx context.Context) error { return s.upload(ctx, src, a.ID) }); err != nil {
		return reply, err
	}
	reply.URL, err = s.bucket.ReadLink(ctx, inputKey(a.ID))
	return reply, err
}

// upload brings an input to the bucket, where it is not there.
func (s *Server) upload(ctx context.Context, src source, id objects.ID) error {
	if size, ok, err := s.bucket.Size(ctx, inputKey(id)); err != nil || ok && size == id.Size {
		return err
	}
	f, err := disk.OpenRegular(src.path)
	if err != nil {
		return experiments.Errorf(experiments.CodeConflict, "an input is gone since the run began: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if err := s.bucket.Upload(ctx, inputKey(id), io.TeeReader(io.LimitReader(f, id.Size), sum), id.Size); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != id.SHA256 {
		return errors.Join(experiments.Errorf(experiments.CodeConflict, "%s changed since the run's inputs were hashed; start the run again", src.path), s.bucket.Remove(ctx, inputKey(id)))
	}
	return nil
}

// adopt takes what a link wrote.
func (s *Server) adopt(ctx context.Context, j *job, a linkArgs) (reply adoptReply, err error) {
	if there, err := j.store.Has(ctx, []objects.ID{a.ID}); err != nil || there[0] {
		return reply, err
	}
	if s.bucket == nil {
		return reply, experiments.Errorf(experiments.CodeInvalid, "the server has no bucket")
	}
	err = j.moves.once(j.key(a.ID), func(ctx context.Context) error {
		from, err := s.bucket.Open(ctx, j.key(a.ID))
		if err != nil {
			return err
		}
		defer from.Close()
		part, err := j.store.Begin(ctx, a.ID, j.run+"-bucket")
		if err != nil {
			return err
		}
		defer part.Close()
		if _, err := io.CopyN(io.Discard, from, part.Size()); err != nil {
			return s.lost(a.ID, err)
		}
		if _, err := io.Copy(part, contextReader{ctx, from}); err != nil {
			return s.lost(a.ID, err)
		}
		if err := part.Commit(ctx); err != nil {
			return err
		}
		return s.bucket.Remove(ctx, j.key(a.ID))
	})
	if errors.Is(err, objects.ErrDamaged) {
		reply.Refused, err = err.Error(), nil
	}
	return reply, err
}

func (s *Server) lost(id objects.ID, err error) error {
	if coded := new(experiments.Error); errors.As(err, &coded) {
		return err
	}
	return experiments.Errorf(experiments.CodeInvalid, "object %.12s did not come through the bucket: %w", id.SHA256, err)
}

// getThrough fetches an object through the bucket, going on where an earlier call was cut.
func (l link) getThrough(ctx context.Context, file File, into objects.Store, owner string, moved func(int64)) error {
	part, err := into.Begin(ctx, file.ID, owner)
	if err != nil {
		return err
	}
	defer part.Close()
	moved(part.Size())
	pause := 100 * time.Millisecond
	for part.Size() < file.Size {
		was := part.Size()
		err := l.through(ctx, linkArgs{ID: file.ID}, func(to string) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, nil)
			if err == nil && part.Size() > 0 {
				req.Header.Set("Range", fmt.Sprintf("bytes=%d-", part.Size()))
			}
			return req, err
		}, func(res *http.Response) error {
			if part.Size() > 0 && res.StatusCode != http.StatusPartialContent {
				return fmt.Errorf("it was asked for from byte %d and answered %s", part.Size(), res.Status)
			}
			n, err := io.Copy(part, contextReader{ctx, res.Body})
			moved(n)
			return err
		})
		if err != nil && (final(err) || ctx.Err() != nil) {
			return err
		}
		if part.Size() > was {
			pause = 100 * time.Millisecond
		}
		if part.Size() < file.Size {
			l.log.Warn("a file from the bucket is gone on with", "file", file.Path, "at", part.Size(), "error", err)
			if pause, err = l.wait(ctx, pause); err != nil {
				return err
			}
		}
	}
	return part.Commit(ctx)
}

// putThrough sends an object through the bucket, and says why it was refused. One that breaks off starts over.
func (l link) putThrough(ctx context.Context, o outgoing) (refused string, err error) {
	in, err := o.open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	pause := 100 * time.Millisecond
	for {
		err := l.through(ctx, linkArgs{ID: o.id, Write: true}, func(to string) (*http.Request, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, io.NewSectionReader(in, 0, o.id.Size))
			if err == nil {
				req.ContentLength = o.id.Size
			}
			return req, err
		}, func(*http.Response) error { return nil })
		if err == nil {
			var reply adoptReply
			err := l.call(ctx, methodAdopt, linkArgs{ID: o.id}, &reply)
			return reply.Refused, err
		}
		if final(err) || ctx.Err() != nil {
			return "", err
		}
		l.log.Warn("a file is sent to the bucket again", "file", o.name, "error", err)
		if pause, err = l.wait(ctx, pause); err != nil {
			return "", err
		}
	}
}

func (l link) wait(ctx context.Context, pause time.Duration) (time.Duration, error) {
	select {
	case <-ctx.Done():
		return pause, context.Cause(ctx)
	case <-time.After(pause):
		return min(2*pause, 5*time.Second), nil
	}
}

// through makes one request by a link.
func (l link) through(ctx context.Context, a linkArgs, request func(to string) (*http.Request, error), use func(*http.Response) error) error {
	var reply linkReply
	if err := l.call(ctx, methodLink, a, &reply); err != nil {
		return err
	}
	u, err := url.Parse(reply.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return experiments.Errorf(experiments.CodeInvalid, "the server's link to the bucket is none: %.80q", reply.URL)
	}
	req, err := request(reply.URL)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("bucket at %s: %w", u.Host, withoutURL(err))
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("bucket at %s: it answered %s", u.Host, res.Status)
	}
	return use(res)
}

// withoutURL drops the link from an error: who has it may read the object.
func withoutURL(err error) error {
	if e := (*url.Error)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
