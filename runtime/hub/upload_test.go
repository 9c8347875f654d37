package hub

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"triality/runtime/hub/hubtest"
)

const target = "org/fresh-model"

// folder writes files.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func uploads() map[string][]byte {
	return map[string][]byte{
		"config.json": []byte(`{"model_type":"llama"}`), "tokenizer.json": noise(6, 9000), "sub/notes.txt": []byte("notes"), "empty.txt": {},
		"empty.safetensors": {}, "model-00001-of-00002.safetensors": noise(7, 250_001), "model-00002-of-00002.safetensors": noise(8, 999),
		"same.safetensors": noise(8, 999), ".gitattributes": []byte("x"),
	}
}

func writer(t *testing.T) *world {
	w := newWorld(t, func(o *Options) { o.Token = "hf_write" })
	w.Server.Token = "hf_write"
	return w
}

func TestAnUploadComesBackTheSame(t *testing.T) {
	for name, partSize := range map[string]int{"large files in one": 0, "large files in parts": 100_000} {
		t.Run(name, func(t *testing.T) {
			w := writer(t)
			w.PartSize = partSize
			files := uploads()
			dir := folder(t, files)
			hidden := folder(t, map[string][]byte{".git/config": []byte("x"), ".cache": []byte("x"), "x.ignored": []byte("x")})
			for _, n := range []string{".git", ".cache", "x.ignored"} {
				if err := os.Rename(filepath.Join(hidden, n), filepath.Join(dir, n)); err != nil {
					t.Fatal(err)
				}
			}
			c, err := w.Upload(t.Context(), target, dir, UploadOptions{Message: "first", Create: true, Private: true})
			if err != nil {
				t.Fatal(err)
			}
			if c.Uploaded != len(files) || !isCommit(c.ID) || !strings.HasSuffix(c.URL, "/commit/"+c.ID) {
				t.Errorf("commit %+v", c)
			}
			if !w.Private(target) {
				t.Error("the repository is not private")
			}
			if got := w.Files(target, "main"); !maps.EqualFunc(got, files, bytes.Equal) {
				t.Errorf("the server has %v", slices.Sorted(maps.Keys(got)))
			}
			if w.last.Bytes != w.last.TotalBytes || w.last.Files != len(files) {
				t.Errorf("progress %+v", w.last)
			}
			for _, r := range w.Requests() {
				if r.Storage && r.Authorization != "" {
					t.Error("the object store got the token")
				}
			}
			s, err := w.Snapshot(t.Context(), Ref{target, c.ID}, []string{"*", "sub/*"})
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range files {
				if got, err := os.ReadFile(filepath.Join(s.Dir, filepath.FromSlash(name))); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %v, or other bytes", name, err)
				}
			}
		})
	}
}

func TestWhatTheBranchHasIsNotSentAgain(t *testing.T) {
	w := writer(t)
	files := uploads()
	dir := folder(t, files)
	first, err := w.Upload(t.Context(), target, dir, UploadOptions{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	w.Requests()
	again, err := w.Upload(t.Context(), target, dir, UploadOptions{Create: true})
	if err != nil || again.ID != first.ID || again.Uploaded != 0 || again.Unchanged != len(files) {
		t.Errorf("%+v, %v; want the same commit", again, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	changed, err := w.Upload(t.Context(), target, dir, UploadOptions{})
	if err != nil || changed.ID == first.ID || changed.Uploaded != 1 {
		t.Errorf("%+v, %v", changed, err)
	}
	for _, r := range w.Requests() {
		if r.Method == "PUT" {
			t.Errorf("%s was sent again", r.Path)
		}
	}
	if got := w.Files(target, "main"); len(got) != len(files) || string(got["config.json"]) != "{}" {
		t.Errorf("the server has %v", got)
	}
}

func TestUploadsAreRetriedWhereThatIsSafe(t *testing.T) {
	t.Run("an object store that fails", func(t *testing.T) {
		w := writer(t)
		w.Fail(hubtest.Fault{Storage: true, Method: "PUT", Status: 500, Times: 2})
		w.Fail(hubtest.Fault{Path: "/preupload/", Status: 503})
		if _, err := w.Upload(t.Context(), target, folder(t, uploads()), UploadOptions{Create: true}); err != nil {
			t.Fatal(err)
		}
		if len(w.pauses) != 3 || w.last.Bytes != w.last.TotalBytes {
			t.Errorf("pauses %v, progress %+v", w.pauses, w.last)
		}
	})
	t.Run("a commit that was not begun", func(t *testing.T) {
		w := writer(t)
		w.Fail(hubtest.Fault{Path: "/commit/", Status: 429})
		if _, err := w.Upload(t.Context(), target, folder(t, uploads()), UploadOptions{Create: true}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a commit whose answer is lost is not made twice", func(t *testing.T) {
		w := writer(t)
		w.Fail(hubtest.Fault{Path: "/commit/", CutAt: 5})
		_, err := w.Upload(t.Context(), target, folder(t, uploads()), UploadOptions{Create: true})
		if !errors.Is(err, ErrUnreachable) || len(w.pauses) != 0 {
			t.Errorf("error %v, pauses %v", err, w.pauses)
		}
	})
}

func TestUploadsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, w *world) (repo, dir string)
		kind    error
		says    string
	}{
		"a folder that is not there": {func(t *testing.T, w *world) (string, string) { return target, "none" }, os.ErrNotExist, "none"},
		"an empty folder":            {func(t *testing.T, w *world) (string, string) { return target, t.TempDir() }, nil, "holds no files"},
		"a bad name":                 {func(t *testing.T, w *world) (string, string) { return "../x", t.TempDir() }, ErrNotFound, "no repository name"},
		"no token": {func(t *testing.T, w *world) (string, string) {
			w.Client.token = ""
			return target, folder(t, uploads())
		}, ErrAccess, "HF_TOKEN"},
		"a repository that may not be written": {func(t *testing.T, w *world) (string, string) {
			w.Client.token = "hf_read"
			return repoName, folder(t, uploads())
		}, ErrAccess, "rights to create a commit"},
		"a repository that is not there": {func(t *testing.T, w *world) (string, string) { return "org/none", folder(t, uploads()) }, ErrNotFound, "no repository org/none"},
		"offline": {func(t *testing.T, w *world) (string, string) {
			w.Client.offline = true
			return target, folder(t, uploads())
		}, ErrOffline, "HF_HUB_OFFLINE allows no request"},
		"an object store that refuses": {func(t *testing.T, w *world) (string, string) {
			w.Fail(hubtest.Fault{Storage: true, Method: "PUT", Status: 403})
			return repoName, folder(t, uploads())
		}, ErrRefused, "the object store localhost"},
	} {
		t.Run(name, func(t *testing.T) {
			w := writer(t)
			repo, dir := tt.prepare(t, w)
			_, err := w.Upload(t.Context(), repo, dir, UploadOptions{})
			if err == nil || tt.kind != nil && !errors.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want %v that says %q", err, tt.kind, tt.says)
			}
		})
	}
}
