package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"triality/runtime/hub/hubtest"
)

func TestADownloadHasTheLayoutOfHuggingfaceHub(t *testing.T) {
	w := newWorld(t, nil)
	s := w.snapshot(t)
	repo := filepath.Join(w.CacheDir(), "models--org--tiny-model")
	if want := filepath.Join(repo, "snapshots", w.commit); s.Dir != want || s.Commit != w.commit {
		t.Errorf("snapshot %s of %s, want %s of %s", s.Dir, s.Commit, want, w.commit)
	}
	ref, err := os.ReadFile(filepath.Join(repo, "refs", "main"))
	if err != nil || string(ref) != w.commit {
		t.Errorf("refs/main holds %q, %v; want the commit and nothing else", ref, err)
	}
	var blobs []string
	for _, name := range wanted {
		hash := hubtest.GitSHA1(w.files[name])
		if strings.HasSuffix(name, ".safetensors") {
			hash = hubtest.SHA256(w.files[name])
		}
		blobs = append(blobs, hash)
		if runtime.GOOS == "windows" {
			continue
		}
		target, err := os.Readlink(filepath.Join(s.Dir, name))
		if want := "../../blobs/" + hash; err != nil || target != want {
			t.Errorf("%s links to %q, %v; want %q", name, target, err, want)
		}
		if _, err := os.Stat(filepath.Join(w.CacheDir(), ".locks", "models--org--tiny-model", hash+".lock")); err != nil {
			t.Error(err)
		}
	}
	slices.Sort(blobs)
	if got := w.blobs(t); runtime.GOOS != "windows" && !slices.Equal(got, blobs) {
		t.Errorf("blobs %v, want %v", got, blobs)
	}
	var tree struct {
		Version int `json:"format_version"`
		Files   map[string]struct {
			Size   int    `json:"size"`
			BlobID string `json:"blob_id"`
			SHA256 string `json:"lfs_sha256"`
			LFS    int    `json:"lfs_size"`
		}
	}
	text, err := os.ReadFile(filepath.Join(repo, "trees", w.commit+".json"))
	if err != nil || json.Unmarshal(text, &tree) != nil || tree.Version != 1 || len(tree.Files) != len(w.files) {
		t.Errorf("tree %.200s, %v", text, err)
	}
	if f := tree.Files["model-00001-of-00002.safetensors"]; f.LFS != 300_000 || f.SHA256 != hubtest.SHA256(w.files["model-00001-of-00002.safetensors"]) {
		t.Errorf("tree entry %+v", f)
	}
	if w.last.Bytes != w.last.TotalBytes || w.last.Files != len(wanted) || w.last.TotalFiles != len(wanted) {
		t.Errorf("last progress %+v", w.last)
	}
}

func TestFilesInSubfoldersLinkUpwards(t *testing.T) {
	w := newWorld(t, nil)
	s, err := w.Snapshot(t.Context(), mainRef, []string{"onnx/*"})
	if err != nil {
		t.Fatal(err)
	}
	target, err := os.Readlink(filepath.Join(s.Dir, "onnx", "model.safetensors"))
	if want := "../../../blobs/" + hubtest.SHA256(w.files["onnx/model.safetensors"]); runtime.GOOS != "windows" && (err != nil || target != want) {
		t.Errorf("link %q, %v; want %q", target, err, want)
	}
}

func TestWhatIsInTheCacheIsNotDownloadedAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.snapshot(t)
	w.Requests()
	w.snapshot(t)
	if r := w.Requests(); len(r) != 1 || !strings.HasSuffix(r[0].Path, "/revision/main") {
		t.Errorf("a branch asks for its commit and nothing else; got %+v", r)
	}
	if _, err := w.Snapshot(t.Context(), Ref{repoName, w.commit}, ModelFiles); err != nil {
		t.Error(err)
	}
	if r := w.Requests(); len(r) != 0 {
		t.Errorf("a commit in the cache asks for nothing; got %+v", r)
	}
	// A new commit that changes one small file brings that one.
	w.files["config.json"] = []byte(`{"model_type":"qwen2"}`)
	w.commit = w.Put(repoName, "main", map[string][]byte{"config.json": w.files["config.json"]})
	if s := w.snapshot(t); s.Commit != w.commit {
		t.Errorf("commit %s, want %s", s.Commit, w.commit)
	}
	if r := w.Requests(); len(r) != 2 {
		t.Errorf("want a listing and a file, got %+v", r)
	}
}

func TestATokenizerAloneLeavesTheWeightsForLater(t *testing.T) {
	w := newWorld(t, nil)
	ref := Ref{repoName, w.commit}
	if _, err := w.Snapshot(t.Context(), ref, TokenizerFiles); err != nil {
		t.Fatal(err)
	}
	if n := w.sent(w.files["model-00001-of-00002.safetensors"]); n != 0 {
		t.Errorf("%d bytes of weights came", n)
	}
	offline := w.client(t, Options{Endpoint: w.URL, CacheDir: w.CacheDir(), Offline: true})
	if _, err := offline.Snapshot(t.Context(), ref, TokenizerFiles); err != nil {
		t.Error(err)
	}
	if _, err := offline.Snapshot(t.Context(), ref, ModelFiles); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "lacks its file") {
		t.Errorf("error %v", err)
	}
	s, err := w.Snapshot(t.Context(), ref, ModelFiles)
	if err != nil {
		t.Fatal(err)
	}
	w.sound(t, s)
}

func TestOffline(t *testing.T) {
	w := newWorld(t, nil)
	want := w.snapshot(t)
	w.Requests()
	o := w.options()
	o.Offline = true
	offline := w.client(t, o)
	for name, ref := range map[string]Ref{"a branch is what it meant last": mainRef, "a commit is itself": {repoName, w.commit}} {
		t.Run(name, func(t *testing.T) {
			s, err := offline.Snapshot(t.Context(), ref, ModelFiles)
			if err != nil || s.Dir != want.Dir {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	t.Run("what is not cached says so", func(t *testing.T) {
		for _, ref := range []Ref{{repoName, "v2"}, {"org/other", "main"}} {
			_, err := offline.Snapshot(t.Context(), ref, ModelFiles)
			if !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), ref.Repo) || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
				t.Errorf("%s: %v", ref, err)
			}
		}
	})
	t.Run("a cache that huggingface_hub wrote without a listing is read", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(w.CacheDir(), "models--org--tiny-model", "trees")); err != nil {
			t.Fatal(err)
		}
		if _, err := offline.Snapshot(t.Context(), mainRef, ModelFiles); err != nil {
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(want.Dir, "model-00002-of-00002.safetensors")); err != nil {
			t.Fatal(err)
		}
		if _, err := offline.Snapshot(t.Context(), mainRef, ModelFiles); !errors.Is(err, ErrOffline) || !strings.Contains(err.Error(), "model-00002") {
			t.Errorf("a missing shard: %v", err)
		}
	})
	if r := w.Requests(); len(r) != 0 {
		t.Errorf("requests were made: %+v", r)
	}
}

func TestTheCacheIsUsedWhereTheEndpointIsGone(t *testing.T) {
	w := newWorld(t, nil)
	want := w.snapshot(t)
	w.Server.Close()
	s, err := w.Snapshot(t.Context(), mainRef, ModelFiles)
	if err != nil || s.Dir != want.Dir {
		t.Fatalf("%+v, %v", s, err)
	}
	if last := w.notes[len(w.notes)-1]; !strings.Contains(last, "from the cache, commit "+w.commit) {
		t.Errorf("notes %q", w.notes)
	}
	if _, err := w.Snapshot(t.Context(), Ref{"org/other", "main"}, ModelFiles); !errors.Is(err, ErrUnreachable) {
		t.Errorf("error %v", err)
	}
	if len(w.pauses) != defaultRetries {
		t.Errorf("pauses %v, want %d", w.pauses, defaultRetries)
	}
}

func TestTheTokenStaysAtTheEndpoint(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Token = "hf_secret" })
	w.snapshot(t)
	storage := 0
	for _, r := range w.Requests() {
		switch {
		case r.Storage && r.Authorization != "":
			t.Errorf("the object store got %q", r.Authorization)
		case r.Storage:
			storage++
		case r.Authorization != "Bearer hf_secret":
			t.Errorf("%s %s came with %q", r.Method, r.Path, r.Authorization)
		}
	}
	if storage != 2 {
		t.Errorf("%d requests at the object store, want 2", storage)
	}
}

func TestARepositoryThatWasRenamedIsFollowed(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Token = "hf_secret" })
	w.Rename(repoName, "org/new-name")
	s := w.snapshot(t)
	if !strings.Contains(s.Dir, "models--org--tiny-model") {
		t.Errorf("the cache goes by the name that was asked for, got %s", s.Dir)
	}
	for _, r := range w.Requests() {
		if !r.Storage && r.Authorization != "Bearer hf_secret" {
			t.Errorf("%s %s came with %q", r.Method, r.Path, r.Authorization)
		}
	}
}

func TestLinksThatTheSystemRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		change  func(*Options)
		symlink func(string, string) error
	}{
		"files are copied where links are turned off": {change: func(o *Options) { o.NoSymlinks = true }},
		"files are copied where a link is refused":    {symlink: func(string, string) error { return syscall.EPERM }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.change)
			if tt.symlink != nil {
				w.cache.symlink = tt.symlink
			}
			s := w.snapshot(t)
			info, err := os.Lstat(filepath.Join(s.Dir, "config.json"))
			if err != nil || !info.Mode().IsRegular() {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if b := w.blobs(t); len(b) != 0 {
				t.Errorf("blobs are kept twice: %v", b)
			}
			w.Requests()
			w.snapshot(t)
			if r := w.Requests(); len(r) != 1 {
				t.Errorf("the second call asked %+v", r)
			}
		})
	}
	t.Run("a blob that is there already is copied", func(t *testing.T) {
		w := newWorld(t, nil)
		s := w.snapshot(t)
		w.cache.copies = true
		if err := os.RemoveAll(s.Dir); err != nil {
			t.Fatal(err)
		}
		before := w.blobs(t)
		w.snapshot(t)
		if !slices.Equal(w.blobs(t), before) {
			t.Error("the blobs have changed")
		}
	})
}

func TestADamagedFileOfTheCacheIsReplaced(t *testing.T) {
	w := newWorld(t, nil)
	s := w.snapshot(t)
	if err := os.Truncate(filepath.Join(s.Dir, "model-00001-of-00002.safetensors"), 1000); err != nil {
		t.Fatal(err)
	}
	w.snapshot(t)
}

func TestFailuresSayWhatToDo(t *testing.T) {
	other := noise(9, 10)
	for name, tt := range map[string]struct {
		prepare func(w *world)
		token   string
		ref     Ref
		kind    error
		says    []string
	}{
		"a repository that is not there, without a token": {ref: Ref{"org/none", "main"}, kind: ErrAccess, says: []string{"org/none", "does not exist", "HF_TOKEN"}},
		"a repository that is not there, with a token":    {ref: Ref{"org/none", "main"}, token: "t", kind: ErrNotFound, says: []string{"no repository org/none"}},
		"a revision that is not there":                    {ref: Ref{repoName, "v9"}, kind: ErrNotFound, says: []string{`no revision "v9"`, repoName}},
		"a gated repository without a token": {
			prepare: func(w *world) { w.Gate(repoName, true) }, ref: mainRef, kind: ErrAccess,
			says: []string{"is gated: accept its terms at http", "/org/tiny-model", "HF_TOKEN"},
		},
		"a gated repository with a token": {
			prepare: func(w *world) { w.Gate(repoName, true) }, token: "t", ref: mainRef, kind: ErrAccess, says: []string{"the token's account has not done so"},
		},
		"a token that is refused": {
			prepare: func(w *world) { w.Fail(hubtest.Fault{Status: http.StatusUnauthorized}) }, token: "t", ref: mainRef, kind: ErrAccess, says: []string{"does not accept the token"},
		},
		"weights that are pickles": {
			prepare: func(w *world) {
				w.Put("org/pickles", "main", map[string][]byte{"config.json": []byte("{}"), "pytorch_model.bin": other})
			}, ref: Ref{"org/pickles", "main"}, kind: ErrNotFound, says: []string{"pytorch_model.bin", "pickle"},
		},
		"a repository without weights": {
			prepare: func(w *world) { w.Put("org/data", "main", map[string][]byte{"config.json": []byte("{}")}) },
			ref:     Ref{"org/data", "main"}, kind: ErrNotFound, says: []string{"no .safetensors"},
		},
		"an answer that is no listing": {
			prepare: func(w *world) { w.Fail(hubtest.Fault{Path: "/revision/", Corrupt: true}) }, ref: mainRef, kind: ErrRefused, says: []string{"does not parse"},
		},
		"a server that fails and fails": {
			prepare: func(w *world) { w.Fail(hubtest.Fault{Status: 503, Times: 100}) }, ref: mainRef, kind: ErrUnreachable, says: []string{"503", "told to fail"},
		},
		"a server that asks for an hour": {
			prepare: func(w *world) {
				w.Fail(hubtest.Fault{Status: 429, Header: http.Header{"Retry-After": {"3600"}}})
			}, ref: mainRef, kind: ErrUnreachable, says: []string{"come back in 1h0m0s"},
		},
		"a name that is none": {ref: Ref{"../etc", "main"}, kind: ErrNotFound, says: []string{"no repository name"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.Token = tt.token })
			if tt.prepare != nil {
				tt.prepare(w)
			}
			_, err := w.Snapshot(t.Context(), tt.ref, ModelFiles)
			if !errors.Is(err, tt.kind) {
				t.Fatalf("error %v, want one of kind %v", err, tt.kind)
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("error %q does not say %q", err, s)
				}
			}
		})
	}
}

func TestRetries(t *testing.T) {
	t.Run("a 429 waits as long as it asks", func(t *testing.T) {
		w := newWorld(t, nil)
		w.Fail(hubtest.Fault{Status: 429, Path: "/revision/", Header: http.Header{"Retry-After": {"7"}}})
		w.snapshot(t)
		if len(w.pauses) != 1 || w.pauses[0] < 7*time.Second {
			t.Errorf("pauses %v", w.pauses)
		}
		if len(w.notes) != 1 || !strings.Contains(w.notes[0], "trying again in 7") {
			t.Errorf("notes %q", w.notes)
		}
	})
	t.Run("pauses grow", func(t *testing.T) {
		w := newWorld(t, nil)
		w.Fail(hubtest.Fault{Status: 502, Path: "/config.json", Times: 4})
		w.snapshot(t)
		if len(w.pauses) != 4 || w.pauses[3] < 8*time.Second || w.pauses[3] > 10*time.Second {
			t.Errorf("pauses %v", w.pauses)
		}
	})
	t.Run("a context that ends stops them", func(t *testing.T) {
		w := newWorld(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		w.sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
		w.Fail(hubtest.Fault{Status: 500, Times: 100})
		if _, err := w.Snapshot(ctx, mainRef, ModelFiles); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestADiskWithoutRoom(t *testing.T) {
	t.Run("is seen before anything is sent", func(t *testing.T) {
		w := newWorld(t, nil)
		w.free = func(string) (uint64, error) { return 1000, nil }
		_, err := w.Snapshot(t.Context(), mainRef, []string{"model-00001*"})
		if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "300000 more bytes are needed") || !strings.Contains(err.Error(), "HF_HUB_CACHE") {
			t.Fatalf("error %v", err)
		}
		if n := w.sent(w.files["model-00001-of-00002.safetensors"]); n != 0 {
			t.Errorf("%d bytes came", n)
		}
	})
	t.Run("is named when it fills up", func(t *testing.T) {
		err := diskFailure(fmt.Errorf("write: %w", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), "CACHE")
		if runtime.GOOS != "windows" && (!errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), "the disk of CACHE is full")) {
			t.Errorf("error %v", err)
		}
	})
}
