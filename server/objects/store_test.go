package objects

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/disk/powercut"
)

func open(t testing.TB, dir string) *Folder {
	t.Helper()
	f, err := OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func put(t testing.TB, s Store, data []byte) ID {
	t.Helper()
	id := Of(data)
	if err := store(s, id, "o", data); err != nil {
		t.Fatal(err)
	}
	return id
}

// store puts what is missing of data.
func store(s Store, id ID, owner string, data []byte) error {
	p, err := s.Begin(context.Background(), id, owner)
	if err != nil {
		return err
	}
	if _, err := p.Write(data[p.Size():]); err != nil {
		return errors.Join(err, p.Close())
	}
	return p.Commit(context.Background())
}

func content(t testing.TB, s Store, id ID, offset int64) string {
	t.Helper()
	r, err := s.Open(context.Background(), id, offset)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAnObjectIsThereOnceItIsWhole(t *testing.T) {
	f := open(t, t.TempDir())
	for _, text := range []string{"", "x", strings.Repeat("long ", 100_000)} {
		id := Of([]byte(text))
		if there, err := f.Has(t.Context(), []ID{id}); err != nil || there[0] {
			t.Errorf("before: %v %v", there, err)
		}
		if _, err := f.Open(t.Context(), id, 0); experiments.CodeOf(err) != experiments.CodeNotFound {
			t.Errorf("opened before: %v", err)
		}
		put(t, f, []byte(text))
		if there, err := f.Has(t.Context(), []ID{id, {id.SHA256, id.Size + 1}}); err != nil || !there[0] || there[1] {
			t.Errorf("after: %v %v", there, err)
		}
		if got := content(t, f, id, id.Size/2); got != text[id.Size/2:] {
			t.Errorf("from the middle: %.20q", got)
		}
	}
	ids, err := f.List(t.Context())
	if err != nil || len(ids) != 3 {
		t.Errorf("listed %v, %v", ids, err)
	}
	if err := f.Remove(t.Context(), append(ids, Of([]byte("none")))...); err != nil {
		t.Error(err)
	}
	if ids, _ := f.List(t.Context()); len(ids) != 0 {
		t.Errorf("left %v", ids)
	}
}

func TestAPartGoesOnWhereItWasCut(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	id := Of(data)
	for i := 0; i < len(data); i += 7_777 {
		p, err := open(t, dir).Begin(t.Context(), id, "run") // another process each time
		if err != nil {
			t.Fatal(err)
		}
		if p.Size() != int64(i) {
			t.Fatalf("goes on at %d, not at %d", p.Size(), i)
		}
		if _, err := p.Write(data[i:min(i+7_777, len(data))]); err != nil {
			t.Fatal(err)
		}
		if i+7_777 < len(data) {
			p.Close()
			if n, err := open(t, dir).Started(t.Context(), id, "run"); err != nil || n != int64(i+7_777) {
				t.Errorf("started: %d, %v", n, err)
			}
			continue
		}
		if err := p.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if content(t, open(t, dir), id, 0) != string(data) {
		t.Error("other bytes")
	}
	if n, err := open(t, dir).Started(t.Context(), id, "other"); err != nil || n != 0 {
		t.Errorf("another owner finds %d bytes, %v", n, err)
	}
}

func TestWhatIsNotTheObjectNeverCounts(t *testing.T) {
	data := []byte("the right bytes")
	id := Of(data)
	for name, c := range map[string]struct {
		data string
		want error
		code experiments.Code
	}{
		"a flipped bit":  {"the right bytez", ErrDamaged, experiments.CodeInvalid},
		"too short":      {"the right byte", nil, experiments.CodeInvalid},
		"too long":       {"the right bytes!", nil, experiments.CodeTooLarge},
		"nothing at all": {"", nil, experiments.CodeInvalid},
	} {
		f := open(t, t.TempDir())
		err := store(f, id, "o", []byte(c.data))
		if err == nil || c.want != nil && !errors.Is(err, c.want) || experiments.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
		if there, _ := f.Has(t.Context(), []ID{id}); there[0] {
			t.Errorf("%s: it is there", name)
		}
		if err := store(f, id, "o", data); err != nil && c.data == "the right bytez" {
			t.Errorf("%s: the right bytes afterwards: %v", name, err)
		}
	}
}

func TestNamesThatAreNoneAreRefused(t *testing.T) {
	f := open(t, t.TempDir())
	for _, id := range []ID{{}, {"../../../etc/passwd", 1}, {strings.Repeat("A", 64), 1}, {strings.Repeat("a", 64), -1}, {strings.Repeat("a", 63) + "/", 1}} {
		_, has := f.Has(t.Context(), []ID{id})
		_, opened := f.Open(t.Context(), id, 0)
		_, begun := f.Begin(t.Context(), id, "o")
		_, started := f.Started(t.Context(), id, "o")
		for _, err := range []error{has, opened, begun, started, f.Remove(t.Context(), id), f.Link(id, filepath.Join(t.TempDir(), "x"))} {
			if experiments.CodeOf(err) != experiments.CodeInvalid {
				t.Errorf("%+v: %v", id, err)
			}
		}
	}
	for _, owner := range []string{"", "..", "a/b", "a.b", strings.Repeat("a", 65)} {
		if _, err := f.Begin(t.Context(), Of(nil), owner); experiments.CodeOf(err) != experiments.CodeInvalid {
			t.Errorf("owner %q: %v", owner, err)
		}
	}
}

func TestTwoWritersOfOnePartDoNotMeet(t *testing.T) {
	f := open(t, t.TempDir())
	id := Of([]byte("x"))
	p, err := f.Begin(t.Context(), id, "o")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Begin(t.Context(), id, "o"); !errors.Is(err, ErrBusy) {
		t.Errorf("a second one: %v", err)
	}
	if err := store(f, id, "other", []byte("x")); err != nil {
		t.Errorf("another owner: %v", err)
	}
	p.Close()
	if err := p.Commit(t.Context()); err == nil {
		t.Error("a closed part was committed")
	}
	if err := store(f, id, "o", []byte("x")); err != nil {
		t.Error(err)
	}
	if err := f.Abandon(t.Context(), func(owner string) bool { return false }); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(filepath.Join(f.Dir(), "incoming")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestTheCacheKeepsWhatWasUsedLast(t *testing.T) {
	f := open(t, t.TempDir())
	var ids []ID
	for i := range 5 {
		id := put(t, f, bytes.Repeat([]byte{byte(i)}, 100))
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(f.path(id), at, at); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := f.Link(ids[0], filepath.Join(t.TempDir(), "used")); err != nil {
		t.Skip("no links here: ", err)
	}
	removed, err := f.Prune(t.Context(), 300, func(id ID) bool { return id == ids[1] })
	if err != nil || removed != 200 {
		t.Fatalf("removed %d, %v", removed, err)
	}
	there, _ := f.Has(t.Context(), ids)
	if !slices.Equal(there, []bool{true, true, false, false, true}) {
		t.Errorf("there are %v: the first was used, the second is kept", there)
	}
}

func TestAFullDiskRefusesAndGoesOnWhenThereIsRoom(t *testing.T) {
	f := open(t, t.TempDir())
	data := bytes.Repeat([]byte("x"), 1000)
	full := true
	stop := disk.Watch(f.Dir(), func(op disk.Op, do func() error) error {
		if full && op.Kind == disk.OpWrite {
			return syscall.ENOSPC
		}
		return do()
	})
	defer stop()
	err := store(f, Of(data), "o", data)
	if experiments.CodeOf(err) != experiments.CodeUnavailable || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), f.Dir()) {
		t.Errorf("full: %v", err)
	}
	full = false
	put(t, f, data)
}

func TestAnObjectThatCountsOutlivesAPowerCut(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	rec := powercut.Record(t, dir)
	f := open(t, dir)
	small, empty := []byte("some bytes"), []byte{}
	p, err := f.Begin(t.Context(), Of(small), "o")
	if err != nil {
		t.Fatal(err)
	}
	p.Write(small[:4])
	p.Close()
	put(t, f, small)
	rec.Mark("small")
	put(t, f, empty)
	rec.Mark("empty")
	rec.Check(t, func(cut powercut.Cut) error {
		f, err := OpenFolder(cut.Dir)
		if err != nil {
			return err
		}
		for name, data := range map[string][]byte{"small": small, "empty": empty} {
			there, err := f.Has(context.Background(), []ID{Of(data)})
			if err != nil {
				return err
			}
			if cut.Marked(name) && !there[0] {
				return errors.New(name + " is gone")
			}
			if !there[0] { // then it can be put again, whatever the cut left of it
				err := store(f, Of(data), "o", data)
				if errors.Is(err, ErrDamaged) {
					err = store(f, Of(data), "o", data)
				}
				if err != nil {
					return err
				}
			}
			r, err := f.Open(context.Background(), Of(data), 0)
			if err != nil {
				return err
			}
			got, err := io.ReadAll(r)
			r.Close()
			if err != nil || !bytes.Equal(got, data) {
				return errors.New(name + " has other bytes")
			}
		}
		return nil
	})
}
