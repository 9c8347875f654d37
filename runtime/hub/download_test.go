package hub

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"triality/runtime/hub/hubtest"
)

const shard = "model-00001-of-00002.safetensors"

func TestACutDownloadGoesOnWhereItWasCut(t *testing.T) {
	t.Run("in the same call", func(t *testing.T) {
		w := newWorld(t, nil)
		w.Fail(hubtest.Fault{Storage: true, Path: hubtest.SHA256(w.files[shard]), CutAt: 123_456})
		w.Fail(hubtest.Fault{Storage: true, Path: hubtest.SHA256(w.files[shard]), CutAt: 50_000})
		w.snapshot(t)
		if n := w.sent(w.files[shard]); n != 300_000 {
			t.Errorf("%d bytes were sent for 300000: some twice", n)
		}
		if len(w.pauses) != 2 {
			t.Errorf("pauses %v", w.pauses)
		}
	})
	t.Run("many times, as long as something comes", func(t *testing.T) {
		w := newWorld(t, nil)
		w.Fail(hubtest.Fault{Storage: true, Path: hubtest.SHA256(w.files[shard]), CutAt: 20_000, Times: 14})
		w.snapshot(t)
		if n := w.sent(w.files[shard]); n != 300_000 {
			t.Errorf("%d bytes were sent for 300000", n)
		}
	})
	t.Run("in another process", func(t *testing.T) {
		w := newWorld(t, nil)
		w.retries = 0
		w.Fail(hubtest.Fault{Storage: true, Path: hubtest.SHA256(w.files[shard]), CutAt: 123_456})
		_, err := w.Snapshot(t.Context(), mainRef, []string{shard})
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "cut at byte 123456 of 300000") {
			t.Fatalf("error %v", err)
		}
		if b := w.blobs(t); len(b) != 1 || b[0] != hubtest.SHA256(w.files[shard])+".incomplete" {
			t.Fatalf("blobs %v", b)
		}
		w.Requests()
		w.Client = w.client(t, w.options())
		w.snapshot(t)
		if n := w.sent(w.files[shard]); n != 300_000-123_456 {
			t.Errorf("%d bytes were sent, want the missing %d", n, 300_000-123_456)
		}
		if w.last.Bytes != w.last.TotalBytes {
			t.Errorf("progress %+v", w.last)
		}
	})
	t.Run("from the start where the server knows no ranges", func(t *testing.T) {
		w := newWorld(t, nil)
		hash := hubtest.SHA256(w.files[shard])
		w.Fail(hubtest.Fault{Storage: true, Path: hash, CutAt: 100_000})
		w.Fail(hubtest.Fault{Storage: true, Path: hash, NoRange: true})
		w.snapshot(t)
		if n := w.sent(w.files[shard]); n != 400_000 {
			t.Errorf("%d bytes were sent, want 100000 and then all", n)
		}
		if w.last.Bytes != w.last.TotalBytes {
			t.Errorf("progress %+v", w.last)
		}
	})
	t.Run("a small file too", func(t *testing.T) {
		w := newWorld(t, nil)
		w.Fail(hubtest.Fault{Path: "/config.json", CutAt: 5})
		w.snapshot(t)
	})
	t.Run("where the address's signature has run out", func(t *testing.T) {
		w := newWorld(t, nil)
		hash := hubtest.SHA256(w.files[shard])
		w.Fail(hubtest.Fault{Storage: true, Path: hash, CutAt: 100_000})
		w.Fail(hubtest.Fault{Storage: true, Path: hash, Status: 403})
		w.snapshot(t)
		if text := strings.Join(w.notes, "\n"); !strings.Contains(text, "the object store localhost") || strings.Contains(text, "secret") {
			t.Errorf("notes %q", text)
		}
	})
	t.Run("a connection that stands still is cut", func(t *testing.T) {
		w := newWorld(t, nil)
		w.stall = 100 * time.Millisecond
		w.Fail(hubtest.Fault{Path: "/config.json", Wait: 10 * time.Second})
		w.snapshot(t)
		if !strings.Contains(strings.Join(w.notes, "\n"), "nothing moved") {
			t.Errorf("notes %q", w.notes)
		}
	})
}

func TestAnAnswerFromAnotherPlaceInAFileIsRefused(t *testing.T) {
	for name, answer := range map[string]string{
		"later":         "bytes 123457-299999/300000",
		"earlier":       "bytes 0-299999/300000",
		"nothing named": "",
		"unreadable":    "octets 123456",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.retries = 1
			hash := hubtest.SHA256(w.files[shard])
			w.Fail(hubtest.Fault{Storage: true, Path: hash, CutAt: 123_456})
			w.Fail(hubtest.Fault{Storage: true, Path: hash, Header: http.Header{"Content-Range": {answer}}})
			_, err := w.Snapshot(t.Context(), mainRef, []string{shard})
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "asked for bytes from 123456 on, got") {
				t.Fatalf("error %v", err)
			}
			part, err := os.ReadFile(filepath.Join(w.CacheDir(), "models--org--tiny-model", "blobs", hash+".incomplete"))
			if err != nil || !bytes.Equal(part, w.files[shard][:123_456]) {
				t.Errorf("%d bytes are kept, %v, or not the 123456 that came", len(part), err)
			}
			w.snapshot(t) // which goes on there
		})
	}
}

func TestAWrongChecksumLeavesNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		file  string
		fault hubtest.Fault
	}{
		"of a large file": {shard, hubtest.Fault{Storage: true, Corrupt: true}},
		"of a small file": {"tokenizer.json", hubtest.Fault{Path: "/tokenizer.json", Corrupt: true}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.Fail(tt.fault)
			_, err := w.Snapshot(t.Context(), mainRef, []string{tt.file})
			if !errors.Is(err, ErrChecksum) || !strings.Contains(err.Error(), tt.file) {
				t.Fatalf("error %v", err)
			}
			if b := w.blobs(t); len(b) != 0 {
				t.Errorf("left behind: %v", b)
			}
			if _, err := os.Lstat(filepath.Join(w.CacheDir(), "models--org--tiny-model", "snapshots", w.commit, tt.file)); !os.IsNotExist(err) {
				t.Errorf("the snapshot has the file: %v", err)
			}
			w.snapshot(t) // and the next try is good
		})
	}
	t.Run("damage that an earlier process left is thrown away and the file fetched whole", func(t *testing.T) {
		w := newWorld(t, nil)
		blob := w.cache.blob(repoName, hubtest.SHA256(w.files[shard])) + ".incomplete"
		if err := errors.Join(os.MkdirAll(filepath.Dir(blob), 0o755), os.WriteFile(blob, noise(77, 1000), 0o644)); err != nil {
			t.Fatal(err)
		}
		w.snapshot(t)
		if len(w.notes) != 1 || !strings.Contains(w.notes[0], "starting afresh") {
			t.Errorf("notes %q", w.notes)
		}
	})
	t.Run("a leftover longer than the file is thrown away", func(t *testing.T) {
		w := newWorld(t, nil)
		blob := w.cache.blob(repoName, hubtest.SHA256(w.files[shard])) + ".incomplete"
		if err := errors.Join(os.MkdirAll(filepath.Dir(blob), 0o755), os.WriteFile(blob, noise(77, 300_001), 0o644)); err != nil {
			t.Fatal(err)
		}
		w.snapshot(t)
	})
}

func TestTwoDownloadsOfOneFileShareIt(t *testing.T) {
	w := newWorld(t, nil)
	// The first to come is slow, so that the other has to wait for it.
	w.Fail(hubtest.Fault{Storage: true, Path: hubtest.SHA256(w.files[shard]), Wait: 50 * time.Millisecond})
	var wg sync.WaitGroup
	for range 4 {
		c := w.client(t, w.options()) // its lock is on a file of its own, as another process's is
		wg.Go(func() {
			s, err := c.Snapshot(context.WithoutCancel(t.Context()), mainRef, ModelFiles)
			if err != nil {
				t.Error(err)
				return
			}
			w.sound(t, s)
		})
	}
	wg.Wait()
	if n := w.sent(w.files[shard]); n != 300_000 {
		t.Errorf("%d bytes were sent for 300000: the file came more than once", n)
	}
	if b := w.blobs(t); len(b) != len(wanted) {
		t.Errorf("blobs %v", b)
	}
}

func TestAnEndpointWhoseListingHasNoHashesIsAskedForThem(t *testing.T) {
	w := newWorld(t, nil)
	l := Listing{Commit: w.commit}
	for name := range w.files {
		l.Files = append(l.Files, File{Path: name, Size: -1})
	}
	s, err := w.complete(t.Context(), mainRef, l, ModelFiles)
	if err != nil {
		t.Fatal(err)
	}
	w.sound(t, s)
	if w.last.TotalBytes != w.last.Bytes || w.last.Bytes < 500_000 {
		t.Errorf("progress %+v", w.last)
	}
	for _, r := range w.Requests() {
		if r.Method == "HEAD" && r.Storage {
			t.Error("the object store was asked with HEAD, which its signature does not cover")
		}
	}
}

func TestAnAnswerAboutSomethingElseIsRefused(t *testing.T) {
	for name, header := range map[string][2]string{
		"another commit":   {"X-Repo-Commit", strings.Repeat("0", 40)},
		"another checksum": {"X-Linked-Etag", `"` + strings.Repeat("0", 64) + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			l := Listing{Commit: w.commit, Files: []File{{Path: shard, Size: 300_000, SHA256: hubtest.SHA256(w.files[shard])}}}
			if header[0] == "X-Repo-Commit" {
				// The server answers for the branch, which has moved on.
				w.Put(repoName, "main", map[string][]byte{"x": nil})
				s := subject{Ref{repoName, "main"}, shard}
				p, err := openPart(filepath.Join(t.TempDir(), "x"), l.Files[0])
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				err = w.get(t.Context(), p, w.commit, newMeter(mainRef, nil, nil), s)
				if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "asked for commit") {
					t.Errorf("error %v", err)
				}
				return
			}
			l.Files[0].SHA256 = hubtest.SHA256([]byte("other"))
			_, err := w.complete(t.Context(), mainRef, l, []string{shard})
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the listing gives checksum") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// BenchmarkDownload measures a large file from a server in the same process: transfer, hash and write.
func BenchmarkDownload(b *testing.B) {
	server := hubtest.New()
	defer server.Close()
	content := noise(1, 64<<20)
	server.Put(repoName, "main", map[string][]byte{"model.safetensors": content})
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		c, err := New(Options{Endpoint: server.URL, CacheDir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := c.Snapshot(b.Context(), mainRef, ModelFiles); err != nil {
			b.Fatal(err)
		}
	}
}
