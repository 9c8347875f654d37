package transfer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/server/objects"
)

func TestNamesInAnyWritingAndEmptyFilesArrive(t *testing.T) {
	b := begin(t)
	files := map[string]string{"文書/空": "", "Ünï cödé ✓.txt": "x", "a b/'quoted' [1] $x.json": "{}", strings.Repeat("長", 80): "long", "same": "x", "data:v2": "colon"}
	finish(t, b.place.Dir, "convert", 1, files)
	if err := b.place.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got := read(t, filepath.Join(folder(b.dir, "convert", 1), filepath.FromSlash(name))); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	write(t, filepath.Join(folder(b.dir, "convert", 1), "same"), "changed by hand")
	if got := read(t, filepath.Join(folder(b.dir, "convert", 1), "Ünï cödé ✓.txt")); got != "x" {
		t.Error("two results are one file")
	}
}

// filesVariable sets how many small files are sent each way; 20,000 take half a minute.
const filesVariable = "TRIALITY_FILES"

func TestManySmallFilesArrive(t *testing.T) {
	dir := t.TempDir()
	n := 2000
	if text := os.Getenv(filesVariable); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1000 {
			t.Fatalf("%s=%q: want 1000 or more", filesVariable, text)
		}
	}
	for i := range n {
		write(t, filepath.Join(dir, "rows", fmt.Sprintf("four_class_%05d.jsonl", i)), fmt.Sprintf(`{"n":%d}`+"\n", i))
	}
	plainProject(t, dir)
	s, w := newServer(t, dir), newWorker(t)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: strings.Replace(plain, "rows.jsonl", "rows", 1), Dir: dir}); err != nil {
		t.Fatal(err)
	}
	c := &wire{server: s, run: "run1", attempt: 1, before: func(int64, string, []byte) error { return nil }}
	began := time.Now()
	p, err := w.Stage(t.Context(), c, "run1", nil)
	if err != nil {
		t.Fatal(err)
	}
	fetched, calls := time.Since(began), c.calls.Load()
	for _, i := range []int{0, 777, n - 1} {
		if got := read(t, filepath.Join(p.Dir, "rows", fmt.Sprintf("four_class_%05d.jsonl", i))); got != fmt.Sprintf(`{"n":%d}`+"\n", i) {
			t.Errorf("%d: %q", i, got)
		}
	}
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("part/%05d", i)] = fmt.Sprint("result ", i)
	}
	finish(t, p.Dir, "convert", 1, files)
	began = time.Now()
	if err := p.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(folder(dir, "convert", 1), "part", "00345")); got != "result 345" {
		t.Errorf("%q", got)
	}
	if total := c.calls.Load(); total > int64(20+n/100) {
		t.Errorf("%d calls: small files are to share messages", total)
	}
	t.Logf("fetched in %v with %d calls, sent in %v with %d", fetched.Round(time.Millisecond), calls, time.Since(began).Round(time.Millisecond), c.calls.Load()-calls)
}

// changing is a context that changes a file when it is asked for the third time.
type changing struct {
	context.Context
	change func()
	asked  int
}

func (c *changing) Err() error {
	if c.asked++; c.asked == 3 {
		c.change()
	}
	return nil
}

func TestAFileThatChangesWhileItIsHashedIsNoticed(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"grows": func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("more")
				f.Close()
			}
			return err
		},
		"is cut": func(path string) error { return os.Truncate(path, 70_000) },
		"changes in place": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte("y"), 5)
				f.Close()
			}
			return err
		},
	} {
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, strings.Repeat("x", 300_000))
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
		h := openHashes(filepath.Join(t.TempDir(), "hashes"), false)
		ctx := &changing{Context: t.Context(), change: func() {
			if err := change(path); err != nil {
				t.Error(err)
			}
		}}
		if _, _, err := h.of(ctx, path); experiments.CodeOf(err) != experiments.CodeConflict || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAHashIsKeptWhileItsFileIsAsItWas(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	write(t, path, "first")
	h := openHashes(filepath.Join(dir, "hashes"), true)
	first, _, err := h.of(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.save(); err != nil {
		t.Fatal(err)
	}
	h = openHashes(filepath.Join(dir, "hashes"), true) // the next process
	abs, _ := filepath.Abs(path)
	if kept := h.known[abs]; kept.Sum != first.SHA256 {
		t.Errorf("kept %+v", kept)
	}
	write(t, path, "other")
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if second, _, err := h.of(t.Context(), path); err != nil || second == first {
		t.Errorf("a changed file has its old hash: %v", err)
	}
	for _, text := range []string{"", "null", "{", `{"x":1}`} { // a damaged file of hashes is as good as none
		write(t, filepath.Join(dir, "hashes"), text)
		if id, _, err := openHashes(filepath.Join(dir, "hashes"), true).of(t.Context(), path); err != nil || id.Size != 5 {
			t.Errorf("%q: %v", text, err)
		}
	}
	server := openHashes(filepath.Join(dir, "server"), false)
	if _, _, err := server.of(t.Context(), path); err != nil || len(server.known) != 0 {
		t.Errorf("the hash of a file that was just written is kept: a change within the clock's tick would not be seen (%v)", err)
	}
}

func TestAnInputThatChangesAfterItWasHashedIsNotSent(t *testing.T) {
	dir := t.TempDir()
	plainProject(t, dir)
	s, w := newServer(t, dir), newWorker(t)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "rows.jsonl"), rows(10))
	_, err := w.Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1}, "run1", nil)
	if experiments.CodeOf(err) != experiments.CodeConflict || !strings.Contains(err.Error(), "rows.jsonl changed since") {
		t.Errorf("%v", err)
	}
}

func TestACheckpointThatIsPrunedWhileItIsSentIsNoError(t *testing.T) {
	for name, links := range map[string]bool{"with a second name": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			b := begin(t)
			if !links {
				stop := disk.Watch(b.worker.dir, func(op disk.Op, do func() error) error {
					if op.Kind == disk.OpLink {
						return os.ErrPermission
					}
					return do()
				})
				defer stop()
			}
			checkpoint(t, b.place.Dir, "finetune", 2, 1)
			once := sync.OnceFunc(func() { checkpoint(t, b.place.Dir, "finetune", 2, 2) }) // prunes the first
			b.wire.before = func(_ int64, method string, _ []byte) error {
				if method == methodWrite {
					once()
				}
				return nil
			}
			if err := b.place.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			entries, err := os.ReadDir(filepath.Join(folder(b.dir, "finetune", 2), "checkpoints"))
			if err != nil || len(entries) != 1 {
				t.Fatal(entries, err)
			}
			if links && entries[0].Name() != "checkpoint-1.ckpt" { // else the newer one may be found in time
				t.Errorf("there is %s", entries[0].Name())
			}
			if left, _ := os.ReadDir(b.place.outbox); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

// A link with 50 ms there and back carries many messages at once, so that a large file takes few of those times.
func TestALongLinkIsFilled(t *testing.T) {
	const size, rtt = 64 << 20, 50 * time.Millisecond
	dir := t.TempDir()
	plainProjectOf(t, dir, size)
	s, w := newServer(t, dir), newWorker(t)
	if err := s.Begin(t.Context(), Job{Run: "run1", Attempt: 1, Config: plain, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		slow := func(int64, string, []byte) error { time.Sleep(rtt); return nil }
		began := time.Now()
		w := &Worker{dir: w.dir, bound: 1 << 40, log: w.log, cache: w.cache, hashes: w.hashes, fetching: make(chan struct{}, 1), uses: map[objects.ID]int{}}
		p, err := w.Stage(t.Context(), &wire{server: s, run: "run1", attempt: 1, before: slow}, "run1", nil)
		if err != nil {
			t.Fatal(err)
		}
		fetch := time.Since(began) // of the bubble's clock: calls alone take time
		finish(t, p.Dir, "finetune", 2, map[string]string{"merged/model.safetensors": strings.Repeat("r", size)})
		began = time.Now()
		if err := p.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		send := time.Since(began)
		rounds := size / maxPayload / inFlight // those of a full link
		t.Logf("64 MiB fetched in %v and sent in %v: %.0f and %.0f MB/s at %v", fetch, send, size/1e6/fetch.Seconds(), size/1e6/send.Seconds(), rtt)
		for what, took := range map[string]time.Duration{"fetched": fetch, "sent": send} {
			if most := time.Duration(rounds+8) * rtt; took > most {
				t.Errorf("%s in %v, at most %v", what, took, most)
			}
		}
	})
}
