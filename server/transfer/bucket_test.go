package transfer

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"triality/experiments"
	"triality/server/objects"
)

// bucket is an S3 server in this process with one bucket.
type bucket struct {
	*objects.Bucket
	backend  *s3mem.Backend
	gets     atomic.Int64
	puts     atomic.Int64
	keyed    atomic.Int64 // requests with a link, signed in the query
	breaking atomic.Int64 // answers that break off in the middle
	change   atomic.Bool  // turns a byte of what is put
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	b := &bucket{backend: s3mem.New()}
	if err := b.backend.CreateBucket("jobs"); err != nil {
		t.Fatal(err)
	}
	inner := gofakes3.New(b.backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("X-Amz-Signature") {
			b.keyed.Add(1)
			if r.Header.Get("Authorization") != "" {
				t.Error("a request by a link has a key")
			}
			switch r.Method {
			case http.MethodGet:
				b.gets.Add(1)
				if b.breaking.Add(-1) >= 0 {
					w = &cut{ResponseWriter: w, left: 3 << 20}
				}
			case http.MethodPut:
				b.puts.Add(1)
				if b.change.CompareAndSwap(true, false) {
					r.Body = io.NopCloser(io.MultiReader(strings.NewReader("!"), skip(r.Body)))
				}
			}
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	var err error
	if b.Bucket, err = objects.OpenBucket(t.Context(), server.URL+"/jobs/triality", "us-east-1"); err != nil {
		t.Fatal(err)
	}
	return b
}

func skip(r io.Reader) io.Reader {
	_, _ = io.ReadFull(r, make([]byte, 1))
	return r
}

// cut is an answer that breaks off.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

func (b *bucket) names(t *testing.T) (names []string) {
	t.Helper()
	list, err := b.backend.ListBucket("jobs", &gofakes3.Prefix{}, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		names = append(names, o.Key)
	}
	return names
}

func TestLargeFilesGoThroughABucketByLinks(t *testing.T) {
	b := newBucket(t)
	dir := t.TempDir()
	const size = bucketFrom + 1000
	plainProjectOf(t, dir, size)
	s, err := NewServer(ServerOptions{Dir: filepath.Join(dir, "data"), Bucket: b.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	w := newWorker(t)
	c := &wire{server: s, run: "run1", attempt: 1}
	largest := 0
	c.after = func(_ string, _, reply []byte) ([]byte, error) { largest = max(largest, len(reply)); return reply, nil }
	b.breaking.Store(2) // broken off twice, and gone on with
	p, err := w.Stage(t.Context(), c, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(p.Dir, "model", "model.safetensors")) != strings.Repeat("w", size) {
		t.Error("the model has other bytes")
	}
	if largest > 100_000 || b.gets.Load() != 3 {
		t.Errorf("%d requests to the bucket, the largest message has %d bytes", b.gets.Load(), largest)
	}
	result := strings.Repeat("r", size)
	finish(t, p.Dir, "finetune", 2, map[string]string{"merged/model.safetensors": result})
	b.change.Store(true) // arrives broken once
	if err := p.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(folder(dir, "finetune", 2), "merged", "model.safetensors")) != result {
		t.Error("the result has other bytes")
	}
	if b.puts.Load() != 2 {
		t.Errorf("put %d times", b.puts.Load())
	}
	if names := b.names(t); len(names) != 1 || !strings.HasPrefix(names[0], "triality/inputs/") {
		t.Errorf("in the bucket: %v; want the input alone", names)
	}
	if err := s.Forget(t.Context(), "run1"); err != nil {
		t.Error(err)
	}
	if _, err := s.Collect(t.Context(), func(string) bool { return false }); err != nil || len(b.names(t)) != 1 {
		t.Errorf("the next job finds the input there: %v, %v", b.names(t), err)
	}
	if err := b.RemoveBelow(t.Context(), "inputs", time.Now().Add(time.Hour)); err != nil || len(b.names(t)) != 0 {
		t.Errorf("removed by age: %v, %v", b.names(t), err)
	}
}

func TestALinkLeadsToTheJobsOwnObjectsAlone(t *testing.T) {
	b := newBucket(t)
	dir := t.TempDir()
	plainProjectOf(t, dir, 10)
	s, err := NewServer(ServerOptions{Dir: filepath.Join(dir, "data"), Bucket: b.Bucket})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	c := &wire{server: s, run: "run1", attempt: 1}
	id := objects.Of([]byte("another job's"))
	if err := b.Upload(t.Context(), inputKey(id), strings.NewReader("another job's"), id.Size); err != nil {
		t.Fatal(err)
	}
	var reply linkReply
	if err := c.Call(t.Context(), methodLink, linkArgs{ID: id}, &reply); experiments.CodeOf(err) != experiments.CodeNotFound {
		t.Errorf("%+v, %v", reply, err)
	}
	if err := c.Call(t.Context(), methodLink, linkArgs{ID: objects.ID{SHA256: "../../x"}, Write: true}, &reply); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("%+v, %v", reply, err)
	}
	if err := c.Call(t.Context(), methodLink, linkArgs{ID: id, Write: true}, &reply); err != nil || !strings.Contains(reply.URL, "/triality/runs/run1/1/") {
		t.Errorf("%+v, %v", reply, err)
	}
	none, err := NewServer(ServerOptions{Dir: filepath.Join(dir, "other")})
	if err != nil {
		t.Fatal(err)
	}
	if err := none.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if err := (&wire{server: none, run: "run1", attempt: 1}).Call(t.Context(), methodLink, linkArgs{ID: id, Write: true}, &reply); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Errorf("without a bucket: %v", err)
	}
}

func TestAddressesThatAreNoBucketsAreRefused(t *testing.T) {
	b := newBucket(t)
	link, err := b.ReadLink(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	host := link[:strings.Index(link, "/jobs/")]
	for _, address := range []string{"", "s3://jobs", "jobs", host, host + "/", host + "/none", host + "/jobs?x=1", "https://key:secret@host/jobs"} {
		if _, err := objects.OpenBucket(t.Context(), address, "us-east-1"); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("%q: %v", address, err)
		}
	}
}
