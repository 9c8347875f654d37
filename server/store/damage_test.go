package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"triality/experiments"
	"triality/server/store/boltpages"
)

// filled is the database file of a store with all kinds of pages, and where its pages begin.
func filled(t testing.TB) (file []byte) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir, Options{})
	many(t, s, 300)
	e := experiment(t, s, "e")
	save(t, s, experiments.Run{ID: "r", ExperimentID: e.ID, Config: strings.Repeat("a: 1\n", 5000)}) // over several pages
	for i := range 20 {
		batch := make([]experiments.Point, 200)
		for j := range batch {
			batch[j] = experiments.Point{Step: int64(i*200 + j)}
		}
		if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": batch}); err != nil {
			t.Fatal(err)
		}
	}
	s.Close()
	b, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// use opens a data folder with that database and does with it what a server does. None of it may panic.
func use(t *testing.T, file []byte) (refused bool) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), file, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		if experiments.CodeOf(err) != experiments.CodeInvalid || !strings.Contains(err.Error(), FileName) {
			t.Errorf("refused with %s: %v", experiments.CodeOf(err), err)
		}
		return true
	}
	defer s.Close()
	s.Check(ctx)
	s.Experiments(ctx, 100, "")
	runs, _, _ := s.Runs(ctx, RunFilter{Limit: 1000})
	for _, r := range append(runs, experiments.Run{ID: "r"}) {
		infos, _ := s.Series(ctx, r.ID)
		for _, si := range infos {
			s.Points(ctx, r.ID, si.Name, func(int64, []experiments.Point) error { return nil })
		}
	}
	s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Step: 1 << 40}}})
	s.PurgeRun(ctx, "d7")
	return false
}

func TestADamagedPageIsAnErrorThatNamesItAndNeverAPanic(t *testing.T) {
	file := filled(t)
	size := os.Getpagesize()
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(b []byte) {
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
	}
	damages := map[string]func(page []byte){
		"zeros":                func(p []byte) { clear(p) },
		"noise":                noise,
		"another id":           func(p []byte) { p[0]++ },
		"another kind":         func(p []byte) { p[8] ^= 0x13 },
		"too many elements":    func(p []byte) { binary.LittleEndian.PutUint16(p[10:], 0xfff0) },
		"too many pages":       func(p []byte) { binary.LittleEndian.PutUint32(p[12:], 1<<30) },
		"elements outside":     func(p []byte) { binary.LittleEndian.PutUint32(p[20:], 1<<31) },
		"lengths without end":  func(p []byte) { noise(p[16:48]) },
		"a noisy second half":  func(p []byte) { noise(p[len(p)/2:]) },
		"one bit of its table": func(p []byte) { p[16+rng.IntN(64)] ^= 1 << rng.IntN(8) },
	}
	refused, tried := 0, 0
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			for page := 0; page < len(file)/size; page += 1 + rng.IntN(25) {
				b := append([]byte(nil), file...)
				damage(b[page*size : (page+1)*size])
				tried++
				if use(t, b) {
					refused++
				}
				if t.Failed() {
					t.Fatalf("page %d", page)
				}
			}
		})
	}
	if refused == 0 || tried < 30 {
		t.Errorf("%d of %d damaged files were refused", refused, tried)
	}
	t.Run("cut short", func(t *testing.T) {
		for _, n := range []int{1, 100, size, size + 50, 3 * size, len(file) / 2} {
			if !use(t, append([]byte(nil), file[:n]...)) {
				t.Errorf("a file of the first %d bytes is taken", n)
			}
		}
	})
}

func TestOpeningADamagedStoreNamesThePage(t *testing.T) {
	file := filled(t)
	checked, err := boltpages.Check(strings.NewReader(string(file)), int64(len(file)), 0)
	if err != nil || !checked.Whole() {
		t.Fatalf("sound file: %v %v", checked, err)
	}
	dir := t.TempDir()
	s := open(t, dir, Options{})
	s.Close()
	clear(file[7*os.Getpagesize() : 8*os.Getpagesize()])
	if err := os.WriteFile(s.path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(dir, Options{})
	code(t, err, experiments.CodeInvalid, s.path, "page 7", "restore a backup")
	var damage *DamageError
	if !errors.As(err, &damage) || damage.Faults[0].Page != 7 {
		t.Errorf("error %#v", err)
	}
	if now, err := os.ReadFile(s.path); err != nil || string(now) != string(file) {
		t.Error("refusing the file changed it")
	}
}

func TestADamagedMetaPageIsToldAndMadeAnew(t *testing.T) {
	file := filled(t)
	for page := range 2 {
		t.Run(fmt.Sprint("page ", page), func(t *testing.T) {
			dir := t.TempDir()
			b := append([]byte(nil), file...)
			b[page*os.Getpagesize()+20] ^= 1
			if err := os.WriteFile(filepath.Join(dir, FileName), b, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir, Options{})
			problems, err := s.Check(ctx)
			if err != nil || len(problems) != 1 || !strings.Contains(problems[0], fmt.Sprint("page ", page, ": ")) || !strings.Contains(problems[0], "may be missing") {
				t.Errorf("problems %q, %v", problems, err)
			}
			s.Close()
			sound(t, open(t, dir, Options{}))
		})
	}
}

func TestAFileThatShrinksUnderAStoreIsAnErrorAndNoCrash(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is mapped cannot be cut short there")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), filled(t), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	if err := os.Truncate(s.path, 2*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Runs(ctx, RunFilter{Limit: 1000}); !errors.Is(err, errDamaged) {
		t.Errorf("error %v", err)
	}
	if err := s.LogMetrics(ctx, "r", experiments.MetricBatch{"m": {{Step: 1 << 40}}}); err == nil {
		t.Error("a write was acknowledged")
	}
}
