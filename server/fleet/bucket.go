package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"triality/experiments"
)

// clusterReplicas are the copies of the bucket where NATS servers are enough for them: one may fail.
const clusterReplicas = 3

// openBucket finds or makes the bucket of workers' orders. What NATS does not let this server do ends it with what it is.
func (s *Server) openBucket(ctx context.Context) error {
	js, err := jetstream.New(s.conn)
	if err != nil {
		return fmt.Errorf("workers: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = s.unless(ctx, func(ctx context.Context) error {
		s.kv, err = s.makeBucket(ctx, js)
		return err
	})
	if err != nil {
		return experiments.Errorf(experiments.CodeUnavailable, "workers: key-value bucket %s at %s: %w; the account needs JetStream", bucket, s.opts.Address, err)
	}
	return nil
}

// makeBucket makes the bucket with as many copies as asked for, or, where nothing is asked, as it has, or as the NATS
// servers have room for: three or one.
func (s *Server) makeBucket(ctx context.Context, js jetstream.JetStream) (jetstream.KeyValue, error) {
	make := func(replicas int) (jetstream.KeyValue, error) {
		return js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: bucket, Description: "what each triality worker is to run", History: 1, Storage: jetstream.FileStorage,
			MaxBytes: jetStreamBytes / 2, Replicas: replicas,
		})
	}
	if s.broker != nil || s.opts.Replicas > 0 {
		return make(max(s.opts.Replicas, 1))
	}
	there, err := js.KeyValue(ctx, bucket)
	switch {
	case err == nil:
		status, err := there.Status(ctx)
		if err != nil {
			return nil, err
		}
		if has := status.Config().Replicas; has >= clusterReplicas {
			return make(has) // though a server may be away now
		}
	case !errors.Is(err, jetstream.ErrBucketNotFound):
		return nil, err
	}
	var refused *jetstream.APIError
	kv, err := make(clusterReplicas)
	if !errors.As(err, &refused) {
		return kv, err
	}
	s.log.Info("workers: one copy of the orders is kept", "bucket", bucket, "because", refused.Description)
	return make(1)
}

// unless does something that ends early when NATS says that this server may not do it.
func (s *Server) unless(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-s.denied:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	err := do(ctx)
	var denied *Denied
	if errors.As(context.Cause(ctx), &denied) {
		return denied
	}
	return err
}

// Denied is what NATS does not let a user do.
type Denied struct{ What string }

func (d *Denied) Error() string {
	return fmt.Sprintf("NATS does not let this user do what it must: %s; docs/workers.md lists what a server and a worker need", d.What)
}

func (s *Server) asyncError(_ *nats.Conn, _ *nats.Subscription, err error) {
	if errors.Is(err, nats.ErrPermissionViolation) {
		denied := &Denied{What: err.Error()}
		s.log.Error("workers", "error", denied)
		select {
		case s.denied <- denied:
		default:
		}
		return
	}
	s.log.Warn("workers: NATS", "error", err)
}

// probe tries what this server does later, so that what it may not is said when it starts: orders and answers.
func (s *Server) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.unless(ctx, func(ctx context.Context) error {
		const nobody = "_server" // no worker's name
		if err := s.conn.Publish(inboxPrefix(nobody)+".probe", nil); err != nil {
			return err
		}
		if _, err := s.kv.Put(ctx, nobody, nil); err != nil {
			return err
		}
		if err := s.kv.Purge(ctx, nobody); err != nil {
			return err
		}
		if err := s.conn.FlushWithContext(ctx); err != nil {
			return err
		}
		if err := s.conn.LastError(); errors.Is(err, nats.ErrPermissionViolation) { // of a subscription, or of the answer
			return &Denied{What: err.Error()}
		}
		return nil
	})
}
