package modules_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"triality/experiments"
	"triality/runtime/holdup"
	"triality/runtime/sandbox"
	"triality/runtime/sandbox/wasmtest"
	"triality/server/api"
	"triality/server/modules"
	"triality/server/store"
)

// site is a server as serve runs it, with less fuel so that the tests are short.
type site struct {
	url, addr string
	root      string // of its store, its cache and its temporary files
}

func serve(t *testing.T) *site {
	t.Helper()
	s := &site{root: t.TempDir()}
	for _, dir := range []string{"data", "cache", "tmp"} {
		if err := os.Mkdir(filepath.Join(s.root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("TMPDIR", filepath.Join(s.root, "tmp"))
	st, err := store.Open(filepath.Join(s.root, "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.EnsureExperiment(context.Background(), "e"); err != nil {
		t.Fatal(err)
	}
	host, err := sandbox.NewHost(sandbox.Options{Fuel: 20_000_000, Timeout: 20 * time.Second, CacheDir: filepath.Join(s.root, "cache")})
	if err != nil {
		t.Fatal(err)
	}
	server, err := api.New(api.Options{Store: st, Modules: modules.New(st, host), Logger: slog.New(slog.DiscardHandler), UploadTime: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	s.url = "http://" + s.addr
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ctx, ln) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := host.Close(); err != nil {
			t.Error(err)
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		if left := children(t); len(left) > 0 {
			t.Errorf("processes %v are left", left)
		}
	})
	return s
}

// answer is what an upload got.
type answer struct {
	status int
	api.Failure
}

func (s *site) upload(header http.Header, body io.Reader) (answer, error) {
	req, err := http.NewRequest(http.MethodPost, s.url+"/api/v1/modules", body)
	if err != nil {
		return answer{}, err
	}
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode}
	return a, json.NewDecoder(res.Body).Decode(&a.Failure)
}

func wasmType() http.Header { return http.Header{"Content-Type": {"application/wasm"}} }

func init() { modules.Client = client }

// client uploads, from a process of its own as clients do, the hostile modules one after the other, or (given
// a number n) 32 of them at once, from the n-th on. It prints what was wrong with an answer.
func client(args []string) int {
	s, list := &site{url: args[0]}, wasmtest.Attacks()
	var all sync.WaitGroup
	if len(args) == 1 {
		for _, a := range append(list, wasmtest.Counts()...) {
			if err := s.refusedBy(a); err != nil {
				fmt.Println(err)
			}
		}
		return 0
	}
	from, err := strconv.Atoi(args[1])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for i := range 32 {
		all.Go(func() {
			if err := s.refusedBy(list[(from+i)%len(list)]); err != nil {
				fmt.Println(err)
			}
		})
	}
	all.Wait()
	return 0
}

// hostile runs client.
func (s *site) hostile(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command(os.Args[0], append([]string{modules.ClientArg, s.url}, args...)...).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("%s%v", out, err)
	}
}

// refusedBy uploads a hostile module and reports what is wrong with the answer.
func (s *site) refusedBy(a wasmtest.Attack) error {
	got, err := s.upload(wasmType(), bytes.NewReader(a.Wasm))
	if err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	if len(a.Wasm) > 32<<20 {
		if got.status != http.StatusRequestEntityTooLarge || !strings.Contains(got.Message, "larger than") {
			return fmt.Errorf("%s: %d %+v", a.Name, got.status, got.Failure)
		}
		return nil
	}
	var details struct{ Checks []experiments.Check }
	text, err := json.Marshal(got.Details)
	if err == nil {
		err = json.Unmarshal(text, &details)
	}
	if err != nil || got.status != http.StatusBadRequest || len(details.Checks) == 0 || !strings.Contains(got.Message, a.Says) {
		return fmt.Errorf("%s: %d %+v, want it to say %q (%v)", a.Name, got.status, got.Failure, a.Says, err)
	}
	if last := details.Checks[len(details.Checks)-1]; last.Name != a.Check || last.OK || !strings.Contains(last.Detail, a.Says) {
		return fmt.Errorf("%s: the last check is %+v, want %s to fail", a.Name, last, a.Check)
	}
	return nil
}

// children are the processes whose parent this one is.
func children(t *testing.T) (out []string) {
	t.Helper()
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is right
	for _, p := range stats {
		b, err := os.ReadFile(p)
		if err != nil {
			continue // gone meanwhile
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[0] != "Z" && f[1] == fmt.Sprint(os.Getpid()) {
			out = append(out, filepath.Base(filepath.Dir(p)))
		}
	}
	return out
}

// files are the regular files below the site's folders, the database and the compiled code of modules
// left out: the latter is kept on purpose, a file a module that compiled.
func (s *site) files(t *testing.T) (out []string) {
	t.Helper()
	err := filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(s.root, path) // path is below root
		if err == nil && d.Type().IsRegular() && !strings.HasSuffix(rel, ".db") && !strings.HasPrefix(rel, "cache"+string(filepath.Separator)) {
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// poll measures what other requests take until stop is closed: the slowest, and how many there were.
func (s *site) poll(stop <-chan struct{}) (slowest time.Duration, n int, err error) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	paths := []string{"/healthz", "/api/v1/experiments", "/api/v1/modules", "/api/v1/runs"}
	for ; ; n++ {
		select {
		case <-stop:
			return slowest, n, err
		case <-time.After(2 * time.Millisecond):
		}
		start := time.Now()
		res, fail := client.Get(s.url + paths[n%len(paths)])
		if fail == nil {
			_, fail = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				fail = fmt.Errorf("%s answered %s", paths[n%len(paths)], res.Status)
			}
		}
		if fail != nil {
			err = fail
		}
		slowest = max(slowest, time.Since(start))
	}
}

// most is what another request may take while hostile uploads are worked on, on a machine with nothing else to do.
const most = 50 * time.Millisecond

// watched does work while other requests are measured. What else the machine does holds requests up too, those of an
// idle program as well: that much is allowed besides, and what was slow once is tried again. What the work itself holds
// up, it holds up every time.
func (s *site) watched(t *testing.T, work func(round int)) {
	t.Helper()
	const rounds = 4
	for round := range rounds {
		start := time.Now()
		var busy time.Duration
		machine := holdup.During(t, func() { busy = s.during(t, func() { work(round) }) })
		t.Logf("round %d: the slowest other request took %v, an idle program's %v; the work took %v", round, busy, machine, time.Since(start))
		if busy < most+2*machine || raced || t.Failed() {
			return
		}
		if round == rounds-1 {
			t.Errorf("other requests were held up for %v, at most %v", busy, most+2*machine)
		}
	}
}

func (s *site) during(t *testing.T, work func()) time.Duration {
	t.Helper()
	stop, done := make(chan struct{}), make(chan struct{})
	var slowest time.Duration
	var err error
	go func() {
		defer close(done)
		slowest, _, err = s.poll(stop)
	}()
	work()
	close(stop)
	<-done
	if err != nil {
		t.Error(err)
	}
	return slowest
}

// memory is what the process holds after a collection: of Go's heap, and of the system, in bytes.
func memory(t *testing.T) (heap, resident int64) {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("memory, files and processes are counted through /proc")
	}
	var pages int64
	var size int64
	if _, err := fmt.Sscan(string(b), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return int64(m.HeapAlloc), pages * int64(os.Getpagesize())
}

func TestAHostileUploadIsRefusedByItsReasonAndHoldsNothingUp(t *testing.T) {
	s := serve(t)
	heap, resident := memory(t)
	s.watched(t, func(int) { s.hostile(t) })
	s.leftNothing(t, heap, resident)
}

func Test32HostileUploadsAtOnceHoldNothingUp(t *testing.T) {
	s := serve(t)
	heap, resident := memory(t)
	s.watched(t, func(round int) { s.hostile(t, strconv.Itoa(8*round)) })
	s.leftNothing(t, heap, resident)
}

// leftNothing holds what is there after the uploads against what was there before.
func (s *site) leftNothing(t *testing.T, heap, resident int64) {
	t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if left := s.files(t); len(left) > 0 {
		t.Errorf("files %q are left", left)
	}
	for wait := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		nowHeap, nowResident := memory(t)
		left := len(children(t)) // a module that works once stays warm for a while
		if nowHeap < heap+8<<20 && (nowResident < resident+64<<20 || raced) && left <= 8 {
			t.Logf("heap %d KiB, before %d; resident %d MiB, before %d; %d warm workers", nowHeap>>10, heap>>10, nowResident>>20, resident>>20, left)
			return
		}
		if time.Now().After(wait) {
			t.Errorf("heap of %d KiB, there were %d; %d MiB resident, there were %d; %d processes", nowHeap>>10, heap>>10, nowResident>>20, resident>>20, left)
			return
		}
	}
}

func TestAnUploadThatIsNotAsItSaysIsRefusedByItsReason(t *testing.T) {
	s := serve(t)
	heap, resident := memory(t)
	var gz bytes.Buffer
	z := gzip.NewWriter(&gz)
	if _, err := io.CopyN(z, wasmtest.Zeros{}, 256<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	good := wasmtest.Good().Bytes()
	tests := []struct {
		name, mediaType, coding string
		body                    []byte
		status                  int
		says                    string
	}{
		{"256 MiB as gzip", "application/wasm", "gzip", gz.Bytes(), http.StatusUnsupportedMediaType, `Content-Encoding "gzip"`},
		{"deflate", "application/wasm", "deflate", good, http.StatusUnsupportedMediaType, `Content-Encoding "deflate"`},
		{"gzip as a module", "application/wasm", "", gz.Bytes(), http.StatusBadRequest, "not a WebAssembly module"},
		{"a zip file as a module", "application/wasm", "", wasmtest.ZipBomb(), http.StatusBadRequest, "not a WebAssembly module"},
		{"a zip file", "application/zip", "", wasmtest.ZipBomb(), http.StatusUnsupportedMediaType, `Content-Type "application/zip"`},
		{"a form without its end", "multipart/form-data; boundary=x", "", []byte("--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\x00asm"), http.StatusBadRequest, "cut off after 4 bytes"},
		{"nothing", "application/wasm", "", nil, http.StatusBadRequest, "it is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{"Content-Type": {tt.mediaType}}
			if tt.coding != "" {
				h.Set("Content-Encoding", tt.coding)
			}
			got, err := s.upload(h, bytes.NewReader(tt.body))
			if err != nil || got.status != tt.status || !strings.Contains(got.Message, tt.says) {
				t.Errorf("%d %+v (%v), want %d saying %q", got.status, got.Failure, err, tt.status, tt.says)
			}
		})
	}
	s.leftNothing(t, heap, resident)
}

// raw sends a request as it is and returns the connection.
func (s *site) raw(t *testing.T, length int, body []byte) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(c, "POST /api/v1/modules HTTP/1.1\r\nHost: %s\r\nContent-Type: application/wasm\r\nContent-Length: %d\r\n\r\n%s", s.addr, length, body)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answerOf(t *testing.T, c net.Conn) string {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// A client that goes on sending after the answer has its connection reset.
	b, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: %v", b, err)
	}
	return string(b)
}

func TestAnUploadCutOffMidwayLeavesNothing(t *testing.T) {
	s := serve(t)
	good := wasmtest.Good().Bytes()
	heap, resident := memory(t)
	goroutines := runtime.NumGoroutine()
	s.watched(t, func(int) {
		for range 32 { // gone without a word
			c := s.raw(t, 1<<20, good[:300])
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		c := s.raw(t, 1<<20, good[:300]) // done with sending, and listening
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
		if got := answerOf(t, c); !strings.HasPrefix(got, "HTTP/1.1 400") || !strings.Contains(got, "cut off after 300 bytes") {
			t.Errorf("half an upload got %q", got)
		}
		c.Close()
	})
	if got, err := s.upload(wasmType(), bytes.NewReader(make([]byte, 64<<20))); err != nil || got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("64 MiB got %d %+v, %v", got.status, got.Failure, err)
	}
	// Of unknown length, so that only reading shows it.
	endless := io.MultiReader(bytes.NewReader(wasmtest.Module()), io.LimitReader(wasmtest.Zeros{}, 64<<20))
	if got, err := s.upload(wasmType(), io.NopCloser(endless)); err != nil || got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("64 MiB in chunks got %d %+v, %v", got.status, got.Failure, err)
	}
	s.leftNothing(t, heap, resident)
	for wait := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines+4; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(wait) {
			t.Fatalf("%d goroutines, there were %d", runtime.NumGoroutine(), goroutines)
		}
	}
}

func TestAnUploadThatDripsIsEndedInTime(t *testing.T) {
	s := serve(t)
	good := wasmtest.Good().Bytes()
	s.watched(t, func(int) {
		start := time.Now()
		var all sync.WaitGroup
		for range 32 {
			c := s.raw(t, len(good), good[:8])
			stop := make(chan struct{})
			go func() {
				for _, b := range good[8:] {
					select {
					case <-stop:
						return
					case <-time.After(50 * time.Millisecond):
					}
					if _, err := c.Write([]byte{b}); err != nil {
						return // the server has hung up, as it should
					}
				}
			}()
			all.Go(func() {
				if got := answerOf(t, c); !strings.HasPrefix(got, "HTTP/1.1 408") || !strings.Contains(got, "within 2s not enough") {
					t.Errorf("an upload that drips got %q", got)
				}
				close(stop)
				c.Close()
			})
		}
		all.Wait()
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
