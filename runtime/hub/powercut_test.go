package hub

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/runtime/disk/powercut"
	"triality/runtime/hub/hubtest"
)

// holds says what is wrong with a snapshot's files.
func holds(dir string, files map[string][]byte) error {
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if !bytes.Equal(got, want) {
			return fmt.Errorf("%s holds %d other bytes", name, len(got))
		}
	}
	return nil
}

// A blob is found by its name and size, so under its name it must have its content.
func blobsAreWhole(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		whole := e.Name() == hubtest.SHA256(b) || e.Name() == hubtest.GitSHA1(b)
		if !whole && !strings.HasSuffix(e.Name(), incomplete) {
			return fmt.Errorf("blob %s has other content (%d bytes)", e.Name(), len(b))
		}
	}
	return nil
}

func TestADownloadOutlivesAPowerCutAtAnyMoment(t *testing.T) {
	files := map[string][]byte{
		"config.json": []byte(`{"model_type":"llama"}`), "model.safetensors": noise(7, 6000),
	}
	for name, tt := range map[string]struct {
		copies bool // no links
		cut    bool // an earlier process was cut short
		again  bool // the cache has it, damaged
	}{
		"the first download":         {},
		"a download that goes on":    {cut: true},
		"a damaged file is replaced": {again: true},
		"files without links":        {copies: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := hubtest.New()
			t.Cleanup(server.Close)
			server.Put("o/m", "main", files)
			ref, want := Ref{"o/m", "main"}, []string{"config.json", "model.safetensors"}
			client := func(cache string, offline bool) *Client {
				c, err := New(Options{Endpoint: server.URL, CacheDir: filepath.Join(cache, "hub"), NoSymlinks: tt.copies, Offline: offline, Parallel: 1})
				if err != nil {
					t.Fatal(err)
				}
				c.retries = 0
				return c
			}
			root := t.TempDir()
			if tt.cut {
				server.Fail(hubtest.Fault{Storage: true, CutAt: 2000})
				if _, err := client(root, false).Snapshot(t.Context(), ref, want); !errors.Is(err, ErrUnreachable) {
					t.Fatal(err)
				}
			}
			if tt.again {
				s, err := client(root, false).Snapshot(t.Context(), ref, want)
				if err == nil {
					err = os.Truncate(filepath.Join(s.Dir, "model.safetensors"), 100)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			rec := powercut.Record(t, root)
			if _, err := client(root, false).Snapshot(t.Context(), ref, want); err != nil {
				t.Fatal(err)
			}
			rec.Mark("downloaded")
			rec.Check(t, func(cut powercut.Cut) error {
				if !tt.again || cut.Marked("downloaded") { // its damaged blob was there before
					if err := blobsAreWhole(filepath.Join(cut.Dir, "hub", "models--o--m", "blobs")); err != nil {
						return err
					}
				}
				for _, offline := range []bool{true, false} {
					s, err := client(cut.Dir, offline).Snapshot(t.Context(), ref, want)
					if err == nil {
						err = holds(s.Dir, files)
					} else if offline && !cut.Marked("downloaded") && (errors.Is(err, ErrOffline) || errors.Is(err, ErrNotFound)) {
						continue
					}
					if err != nil {
						return fmt.Errorf("offline %t: %w", offline, err)
					}
				}
				return nil
			})
		})
	}
}
