package objects

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"triality/experiments"
)

// MaxUpload is the most bytes that a bucket takes in one request.
const MaxUpload = 5 << 30

// linkHolds is how long a link to an object may be used: to begin a request, not to end it.
const linkHolds = time.Hour

// Bucket is a folder of an S3-compatible store. It hands out links with which others read or write one object without
// a key of their own.
type Bucket struct {
	client       *minio.Client
	name, prefix string
}

// OpenBucket is NewBucket for one that is there and answers.
func OpenBucket(ctx context.Context, address, region string) (*Bucket, error) {
	b, err := NewBucket(address, region)
	if err != nil {
		return nil, err
	}
	if err := b.There(ctx); err != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "bucket %q: %w", address, err)
	}
	return b, nil
}

// There says what keeps the bucket from being used: CodeUnavailable, where it may answer later.
func (b *Bucket) There(ctx context.Context) error {
	there, err := b.client.BucketExists(ctx, b.name)
	if err == nil && !there {
		err = experiments.Errorf(experiments.CodeInvalid, "there is no such bucket; make it first")
	} else if err != nil {
		err = b.fail("", err)
	}
	return err
}

// NewBucket gives the bucket https://HOST/BUCKET/PREFIX, which is not asked for. The keys are those of the AWS tools:
// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials. A region of "" is asked for.
func NewBucket(address, region string) (*Bucket, error) {
	bad := func(format string, args ...any) (*Bucket, error) {
		return nil, experiments.Errorf(experiments.CodeInvalid, "bucket %q: %w", address, fmt.Errorf(format, args...))
	}
	u, err := url.Parse(address)
	if err != nil {
		return bad("%w", err)
	}
	name, prefix, _ := strings.Cut(strings.Trim(u.Path, "/"), "/")
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || name == "" || u.RawQuery != "" || u.User != nil {
		return bad("want https://HOST/BUCKET or https://HOST/BUCKET/FOLDER; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	keys := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}})
	client, err := minio.New(u.Host, &minio.Options{Creds: keys, Secure: u.Scheme == "https", Region: region})
	if err != nil {
		return bad("%w", err)
	}
	return &Bucket{client: client, name: name, prefix: prefix}, nil
}

func (b *Bucket) key(name string) string { return path.Join(b.prefix, name) }

// Size is an object's; ok is false where there is none.
func (b *Bucket) Size(ctx context.Context, name string) (size int64, ok bool, err error) {
	info, err := b.client.StatObject(ctx, b.name, b.key(name), minio.StatObjectOptions{})
	if err != nil {
		if minio.ToErrorResponse(err).StatusCode == 404 {
			return 0, false, nil
		}
		return 0, false, b.fail(name, err)
	}
	return info.Size, true, nil
}

// Upload stores an object of size bytes.
func (b *Bucket) Upload(ctx context.Context, name string, r io.Reader, size int64) error {
	_, err := b.client.PutObject(ctx, b.name, b.key(name), r, size, minio.PutObjectOptions{})
	return b.fail(name, err)
}

// Open reads an object; close it.
func (b *Bucket) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	o, err := b.client.GetObject(ctx, b.name, b.key(name), minio.GetObjectOptions{})
	return o, b.fail(name, err)
}

// Read reads a whole object of at most limit bytes. One that is not there is CodeNotFound, a larger one CodeTooLarge.
func (b *Bucket) Read(ctx context.Context, name string, limit int64) ([]byte, error) {
	o, err := b.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	data, err := io.ReadAll(io.LimitReader(o, limit+1))
	switch {
	case err != nil && minio.ToErrorResponse(err).StatusCode == 404:
		return nil, experiments.Errorf(experiments.CodeNotFound, "bucket %s, object %s is not there", b.name, b.key(name))
	case err != nil:
		return nil, b.fail(name, err)
	case int64(len(data)) > limit:
		return nil, experiments.Errorf(experiments.CodeTooLarge, "bucket %s, object %s has more than %d bytes", b.name, b.key(name), limit)
	}
	return data, nil
}

// Listed is an object of a list.
type Listed struct {
	Name     string // below the bucket's folder
	Size     int64
	Modified time.Time
}

// List calls f for every object in a folder, until it fails.
func (b *Bucket) List(ctx context.Context, folder string, f func(Listed) error) error {
	for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.key(folder) + "/", Recursive: true}) {
		if o.Err != nil {
			return b.fail(folder, o.Err)
		}
		name := strings.TrimPrefix(strings.TrimPrefix(o.Key, b.prefix), "/")
		if err := f(Listed{name, o.Size, o.LastModified}); err != nil {
			return err
		}
	}
	return nil
}

// ReadLink is a link that reads an object.
func (b *Bucket) ReadLink(ctx context.Context, name string) (string, error) {
	u, err := b.client.PresignedGetObject(ctx, b.name, b.key(name), linkHolds, nil)
	if err != nil {
		return "", b.fail(name, err)
	}
	return u.String(), nil
}

// WriteLink is a link that writes an object, of at most MaxUpload bytes.
func (b *Bucket) WriteLink(ctx context.Context, name string) (string, error) {
	u, err := b.client.PresignedPutObject(ctx, b.name, b.key(name), linkHolds)
	if err != nil {
		return "", b.fail(name, err)
	}
	return u.String(), nil
}

// Remove removes an object; one that is not there is no error.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	return b.fail(name, b.client.RemoveObject(ctx, b.name, b.key(name), minio.RemoveObjectOptions{}))
}

// RemoveBelow removes the objects in a folder that were written before a time.
func (b *Bucket) RemoveBelow(ctx context.Context, folder string, before time.Time) error {
	for o := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: b.key(folder) + "/", Recursive: true}) {
		if o.Err != nil {
			return b.fail(folder, o.Err)
		}
		if o.LastModified.After(before) {
			continue
		}
		if err := b.client.RemoveObject(ctx, b.name, o.Key, minio.RemoveObjectOptions{}); err != nil {
			return b.fail(o.Key, err)
		}
	}
	return nil
}

// fail says which object an error is about; a store that cannot be reached, or is busy, may be asked again.
func (b *Bucket) fail(name string, err error) error {
	if err == nil {
		return nil
	}
	code := experiments.CodeUnavailable
	if status := minio.ToErrorResponse(err).StatusCode; status >= 400 && status < 500 && status != 408 && status != 429 {
		code = experiments.CodeInternal
	}
	return experiments.Errorf(code, "bucket %s, object %s: %w", b.name, b.key(name), err)
}
