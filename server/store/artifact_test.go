package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
)

func artifact(t testing.TB, s *Store, run, path string) string {
	t.Helper()
	_, f, err := s.OpenArtifact(ctx, run, path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// files counts the files beside the database.
func files(t testing.TB, s *Store) (n int) {
	t.Helper()
	err := filepath.WalkDir(s.blobs.dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestArtifactsAreAddressedByContent(t *testing.T) {
	s, _ := fresh(t, Options{})
	put := func(path, text string) experiments.Artifact {
		a, err := s.SaveArtifact(ctx, "r", path, "", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := put("abtest/results.json", "{}")
	if a.SHA256 != "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" || a.Size != 2 || a.MediaType != "application/json" {
		t.Errorf("%+v", a)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "artifacts", "sha256", "44", a.SHA256[2:])); err != nil {
		t.Error(err)
	}
	put("copy.json", "{}")
	if n := files(t, s); n != 1 {
		t.Errorf("two artifacts of one content take %d files", n)
	}
	put("abtest/results.json", "[1]")
	put("copy.json", "[1]")
	put("copy.json", "[1]")
	if n := files(t, s); n != 1 {
		t.Errorf("%d files after both were replaced, want 1", n)
	}
	if got := artifact(t, s, "r", "copy.json"); got != "[1]" {
		t.Errorf("content %q", got)
	}
	list, err := s.Artifacts(ctx, "r")
	if err != nil || len(list) != 2 || list[0].Path != "abtest/results.json" {
		t.Errorf("list %v, error %v", list, err)
	}
	sound(t, s)
}

func TestBadArtifactsAreRefusedAndLeaveNoFile(t *testing.T) {
	s, _ := fresh(t, Options{})
	boom := errors.New("the client went away")
	tests := map[string]struct {
		run, path, media string
		r                io.Reader
		want             experiments.Code
	}{
		"no path":            {"r", "", "", strings.NewReader("x"), experiments.CodeInvalid},
		"a way out":          {"r", "../x", "", strings.NewReader("x"), experiments.CodeInvalid},
		"a hidden way out":   {"r", "a/../../x", "", strings.NewReader("x"), experiments.CodeInvalid},
		"an absolute path":   {"r", "/etc/passwd", "", strings.NewReader("x"), experiments.CodeInvalid},
		"a backslash":        {"r", `a\b`, "", strings.NewReader("x"), experiments.CodeInvalid},
		"a trailing slash":   {"r", "a/", "", strings.NewReader("x"), experiments.CodeInvalid},
		"a zero byte":        {"r", "a\x00b", "", strings.NewReader("x"), experiments.CodeInvalid},
		"a bad media type":   {"r", "a", "text\r\nX: y", strings.NewReader("x"), experiments.CodeInvalid},
		"no such run":        {"nope", "a", "", strings.NewReader("x"), experiments.CodeNotFound},
		"a reader's failure": {"r", "a", "", io.MultiReader(strings.NewReader("half"), errReader{boom}), experiments.CodeInternal},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := s.SaveArtifact(ctx, tt.run, tt.path, tt.media, tt.r)
			code(t, err, tt.want)
		})
	}
	if n := files(t, s); n != 0 {
		t.Errorf("%d files were left", n)
	}
	_, _, err := s.OpenArtifact(ctx, "r", "a")
	code(t, err, experiments.CodeNotFound)
	_, err = s.Artifacts(ctx, "nope")
	code(t, err, experiments.CodeNotFound)
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }

func TestCheckFindsDamagedMissingAndForgottenFiles(t *testing.T) {
	s, _ := fresh(t, Options{})
	var paths []string
	for _, text := range []string{"one", "two"} {
		a, err := s.SaveArtifact(ctx, "r", text, "", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, s.blobs.path(a.SHA256))
	}
	orphan := filepath.Join(filepath.Dir(paths[0]), strings.Repeat("0", 62))
	if err := errors.Join(os.WriteFile(paths[0], []byte("0ne"), 0o600), os.Remove(paths[1]), os.WriteFile(orphan, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	problems, err := s.Check(ctx)
	if err != nil || len(problems) != 3 {
		t.Fatalf("error %v, problems %q, want 3", err, problems)
	}
	all := strings.Join(problems, "\n")
	for _, p := range append(paths, orphan) {
		if !strings.Contains(all, p) {
			t.Errorf("%s is not named", p)
		}
	}
}

func TestOrphansAreRemovedOnRequest(t *testing.T) {
	s, _ := fresh(t, Options{})
	a, err := s.SaveArtifact(ctx, "r", "f", "", strings.NewReader("held"))
	if err != nil {
		t.Fatal(err)
	}
	orphan := s.blobs.path(strings.Repeat("ab", 32))
	stray := filepath.Join(s.blobs.dir, "sha256", "notes.txt")
	err = errors.Join(os.MkdirAll(filepath.Dir(orphan), 0o700), os.WriteFile(orphan, nil, 0o600), os.WriteFile(stray, nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := s.Check(ctx); err != nil || len(problems) != 2 || !strings.Contains(problems[0], "--repair") {
		t.Errorf("problems %q, %v", problems, err)
	}
	if removed, err := s.RemoveOrphans(ctx); err != nil || len(removed) != 2 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if _, err := os.Stat(s.blobs.path(a.SHA256)); err != nil {
		t.Error(err)
	}
	sound(t, s)
}

func TestWhatAKilledUploadLeftIsRemovedOnOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	left := filepath.Join(s.blobs.incoming(), "half")
	if err := errors.Join(os.WriteFile(left, []byte("x"), 0o600), s.Close()); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{})
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("still there: %v", err)
	}
}
