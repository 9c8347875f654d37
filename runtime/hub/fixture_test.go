package hub

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"triality/runtime/hub/hubtest"
)

// world is a server with one model, a client of it, and what the client said.
type world struct {
	*hubtest.Server
	*Client
	commit string
	files  map[string][]byte

	mu     sync.Mutex
	pauses []time.Duration
	notes  []string
	last   Progress
}

const repoName = "org/tiny-model"

var mainRef = Ref{repoName, "main"}

// noise is n bytes that no two seeds share.
func noise(seed uint64, n int) []byte {
	r, out := rand.New(rand.NewPCG(seed, 1)), make([]byte, n)
	for i := range out {
		out[i] = byte(r.Uint32())
	}
	return out
}

func modelFiles() map[string][]byte {
	return map[string][]byte{
		"config.json":                      []byte(`{"model_type":"llama"}`),
		"generation_config.json":           []byte(`{}`),
		"tokenizer.json":                   []byte(`{"model":{}}`),
		"tokenizer_config.json":            []byte(`{"chat_template":"x"}`),
		"special_tokens_map.json":          []byte(`{"a":1}`),
		"chat_template.jinja":              []byte(`{{ x }}`),
		"LICENSE":                          []byte("free"),
		"model-00001-of-00002.safetensors": noise(1, 300_000),
		"model-00002-of-00002.safetensors": noise(2, 200_000),
		"model.safetensors.index.json":     []byte(`{"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}}`),
		"pytorch_model.bin":                noise(3, 1000),
		"consolidated.safetensors":         noise(4, 1000),
		"onnx/model.safetensors":           noise(5, 1000),
		"README.md":                        []byte("# tiny"),
	}
}

// wanted are the names that ModelFiles takes of modelFiles.
var wanted = []string{
	"LICENSE", "chat_template.jinja", "config.json", "generation_config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
	"model.safetensors.index.json", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
}

func newWorld(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{Server: hubtest.New(), files: modelFiles()}
	t.Cleanup(w.Server.Close)
	w.commit = w.Put(repoName, "main", w.files)
	o := Options{Endpoint: w.URL, CacheDir: filepath.Join(t.TempDir(), "hub")}
	if change != nil {
		change(&o)
	}
	w.Client = w.client(t, o)
	return w
}

// client makes a client that does not wait.
func (w *world) client(t *testing.T, o Options) *Client {
	t.Helper()
	o.Note = func(text string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.notes = append(w.notes, text)
	}
	o.Progress = func(p Progress) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.last = p
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	c.sleep = func(ctx context.Context, d time.Duration) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.pauses = append(w.pauses, d)
		return ctx.Err()
	}
	return c
}

// options are those of the world's client, for another client of the same cache.
func (w *world) options() Options { return Options{Endpoint: w.URL, CacheDir: w.CacheDir()} }

// snapshot downloads the model or fails the test.
func (w *world) snapshot(t *testing.T) Snapshot {
	t.Helper()
	s, err := w.Snapshot(t.Context(), mainRef, ModelFiles)
	if err != nil {
		t.Fatal(err)
	}
	w.sound(t, s)
	return s
}

// sound fails the test unless a snapshot holds the wanted files and no other.
func (w *world) sound(t *testing.T, s Snapshot) {
	t.Helper()
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(wanted) {
		t.Errorf("the snapshot holds %v, want %v", entries, wanted)
	}
	for _, name := range wanted {
		got, err := os.ReadFile(filepath.Join(s.Dir, name))
		if err != nil || !bytes.Equal(got, w.files[name]) {
			t.Errorf("%s: %v, or not what the server has", name, err)
		}
	}
}

// sent adds up the bytes of a file's content that the object store sent.
func (w *world) sent(content []byte) (n int64) {
	for _, r := range w.Requests() {
		if r.Storage && filepath.Base(r.Path) == hubtest.SHA256(content) {
			n += r.Sent
		}
	}
	return n
}

func (w *world) blobs(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.CacheDir(), "models--org--tiny-model", "blobs"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
