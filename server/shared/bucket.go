package shared

import (
	"context"
	"io"
	"strings"
	"time"

	"triality/experiments"
	"triality/server/objects"
)

// bucket is a place in an S3-compatible store, in which an object is there whole or not at all.
type bucket struct{ *objects.Bucket }

func openBucket(ctx context.Context, address, region string) (place, error) {
	b, err := objects.NewBucket(address, region)
	if err == nil {
		err = b.There(ctx)
	}
	if err != nil {
		return nil, err
	}
	return bucket{b}, nil
}

func objectOf(sum string) string { return "sha256/" + sum[:2] + "/" + sum[2:] }

func (b bucket) manifest(ctx context.Context, key string) ([]byte, error) {
	text, err := b.Read(ctx, nameOf(key), maxManifest)
	if experiments.CodeOf(err) == experiments.CodeTooLarge {
		err = experiments.Errorf(experiments.CodeInvalid, "%w", err)
	}
	return text, refusedBy(err)
}

// refusedBy makes what a bucket refuses, such as a key that may only read, the store's own trouble.
func refusedBy(err error) error {
	if err != nil && experiments.CodeOf(err) == experiments.CodeInternal {
		return experiments.Errorf(experiments.CodeUnavailable, "%w", err)
	}
	return err
}

func (b bucket) putManifest(ctx context.Context, key string, text []byte) error {
	return refusedBy(b.Upload(ctx, nameOf(key), strings.NewReader(string(text)), int64(len(text))))
}

func (b bucket) manifests(ctx context.Context, f func(key string, at time.Time) error) error {
	return refusedBy(b.List(ctx, "results", func(o objects.Listed) error {
		if key, ok := keyOf(o.Name); ok {
			return f(key, o.Modified)
		}
		return nil
	}))
}

func (b bucket) removeManifest(ctx context.Context, key string) error {
	return refusedBy(b.Remove(ctx, nameOf(key)))
}

func (b bucket) has(ctx context.Context, id objects.ID) (bool, error) {
	size, ok, err := b.Size(ctx, objectOf(id.SHA256))
	return ok && size == id.Size, refusedBy(err)
}

func (b bucket) open(ctx context.Context, id objects.ID) (io.ReadCloser, error) {
	r, err := b.Open(ctx, objectOf(id.SHA256))
	return r, refusedBy(err)
}

func (b bucket) put(ctx context.Context, id objects.ID, r io.Reader) error {
	return refusedBy(b.Upload(ctx, objectOf(id.SHA256), r, id.Size))
}

func (b bucket) prune(ctx context.Context, before time.Time, keep func(sum string) bool) (removed int64, err error) {
	err = b.List(ctx, "sha256", func(o objects.Listed) error {
		sum := strings.ReplaceAll(strings.TrimPrefix(o.Name, "sha256/"), "/", "")
		if !keyForm.MatchString(sum) || o.Modified.After(before) || keep(sum) {
			return nil
		}
		removed += o.Size
		return b.Remove(ctx, o.Name)
	})
	return removed, refusedBy(err)
}
