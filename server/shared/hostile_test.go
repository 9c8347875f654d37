package shared

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"triality/experiments"
)

// spoil changes what the store has of a key.
type spoil func(t *testing.T, dir, key string)

// rewrite changes a manifest.
func rewrite(change func(m map[string]any, files []any)) spoil {
	return func(t *testing.T, dir, key string) {
		t.Helper()
		p := filepath.Join(dir, filepath.FromSlash(nameOf(key)))
		text, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		if err := json.Unmarshal(text, &m); err != nil {
			t.Fatal(err)
		}
		change(m, m["files"].([]any))
		if text, err = json.Marshal(m); err == nil {
			err = os.WriteFile(p, text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// named changes the path of the file whose path ends so.
func named(end, to string) spoil {
	return rewrite(func(_ map[string]any, files []any) { fileNamed(files, end)["path"] = to })
}

func fileNamed(files []any, end string) map[string]any {
	for _, f := range files {
		if strings.HasSuffix(f.(map[string]any)["path"].(string), end) {
			return f.(map[string]any)
		}
	}
	panic("no file " + end)
}

// object changes the bytes of a file.
func object(end string, change func(t *testing.T, path string)) spoil {
	return func(t *testing.T, dir, key string) {
		sum := ""
		rewrite(func(_ map[string]any, files []any) { sum = fileNamed(files, end)["sha256"].(string) })(t, dir, key)
		change(t, filepath.Join(dir, "sha256", sum[:2], sum[2:]))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	must(t, err)
	text[len(text)/2] ^= 1
	must(t, os.WriteFile(path, text, 0o644))
}

func cutOff(t *testing.T, path string) { must(t, os.Truncate(path, 3)) }
func lengthen(t *testing.T, path string) {
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, append(text, "more"...), 0o644))
}
func takeAway(t *testing.T, path string) { must(t, os.Remove(path)) }
func toLink(t *testing.T, path string) {
	must(t, os.Remove(path))
	if err := os.Symlink("/dev/zero", path); err != nil {
		t.Skip("no links here: ", err)
	}
}
func toFolder(t *testing.T, path string) {
	must(t, os.Remove(path))
	must(t, os.Mkdir(path, 0o755))
}

func manifestOf(change func(t *testing.T, path string)) spoil {
	return func(t *testing.T, dir, key string) { change(t, filepath.Join(dir, filepath.FromSlash(nameOf(key)))) }
}

var spoils = map[string]spoil{
	"a file leads out of the folder":       named("words.txt", "out/../../words.txt"),
	"a file has an absolute path":          named("words.txt", "/tmp/words.txt"),
	"a file has a path of Windows":         named("words.txt", `out\words.txt`),
	"a file has a drive":                   named("words.txt", "C:words.txt"),
	"a file begins with a dot":             named("words.txt", "out/.words.txt"),
	"a file is no output of the step":      named("words.txt", "other/words.txt"),
	"a file is the marker":                 named("words.txt", "step.json"),
	"a file is there twice":                named("words.txt", "out/BIG.bin"),
	"a file is a folder of another":        named("words.txt", "out/big.bin/words.txt"),
	"a file's name is too long":            named("words.txt", "out/"+strings.Repeat("x", 500)),
	"a file's name is empty":               named("words.txt", ""),
	"a file's name has a NUL":              named("words.txt", "out/words\x00.txt"),
	"all files of the output are left out": rewrite(func(m map[string]any, _ []any) { m["files"] = []any{} }),
	"a hash is none":                       rewrite(func(_ map[string]any, f []any) { fileNamed(f, "words.txt")["sha256"] = "../../../etc/passwd" }),
	"a size is negative":                   rewrite(func(_ map[string]any, f []any) { fileNamed(f, "words.txt")["size"] = -1 }),
	"a size is another":                    rewrite(func(_ map[string]any, f []any) { fileNamed(f, "words.txt")["size"] = 1 }),
	"a size is huge":                       rewrite(func(_ map[string]any, f []any) { fileNamed(f, "big.bin")["size"] = 1 << 60 }),
	"it is of another key":                 rewrite(func(m map[string]any, _ []any) { m["key"] = strings.Repeat("0", 64) }),
	"it is of another kind":                rewrite(func(m map[string]any, _ []any) { m["kind"] = "model" }),
	"it has a later format":                rewrite(func(m map[string]any, _ []any) { m["format"] = 2 }),
	"it took less than nothing":            rewrite(func(m map[string]any, _ []any) { m["seconds"] = -5 }),
	"it is nobody's":                       rewrite(func(m map[string]any, _ []any) { m["by"] = "" }),
	"its run is a path":                    rewrite(func(m map[string]any, _ []any) { m["run_id"] = "../x" }),
	"a note is a book":                     rewrite(func(m map[string]any, _ []any) { m["notes"] = []any{strings.Repeat("x", 10_000)} }),
	"the manifest was cut":                 manifestOf(cutOff),
	"the manifest is a folder":             manifestOf(toFolder),
	"the manifest never ends":              manifestOf(toLink),
	"a small file has a flipped bit":       object("words.txt", flip),
	"a small file was cut":                 object("words.txt", cutOff),
	"a small file is longer":               object("words.txt", lengthen),
	"a small file is gone":                 object("words.txt", takeAway),
	"a small file never ends":              object("words.txt", toLink),
	"a small file is a folder":             object("words.txt", toFolder),
	"a large file has a flipped bit":       object("big.bin", flip),
	"a large file was cut":                 object("big.bin", cutOff),
	"a large file is gone":                 object("big.bin", takeAway),
}

// What is not whole, or is not what it should be, counts as not there: the step runs, its result is the right one, nothing is
// written elsewhere, and the store has it whole afterwards.
func TestWhatComesFromTheStoreIsNotTrusted(t *testing.T) {
	made := newMember(t, "alice@one", filepath.Join(t.TempDir(), "team"))
	first, _ := made.run(words)
	b := stepOf(t, first, "b")
	edited := strings.Replace(words[:strings.Index(words, "  - {name: d")], "word: three", "word: drei", 1) // c takes all of b
	for name, spoil := range spoils {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			where := filepath.Join(root, "team")
			must(t, os.CopyFS(where, os.DirFS(made.store.where)))
			spoil(t, where, b.Key)
			bob := newMember(t, "bob@two", where)
			bob.dir = filepath.Join(root, "bob", "results")
			p, ran := bob.run(edited)
			if ran != "b c" {
				t.Errorf("bob ran %q; %q", ran, bob.notes)
			}
			if got := stepOf(t, p, "b"); content(t, got, "out/words.txt") != "onetwo" || content(t, got, "out/big.bin") != content(t, b, "out/big.bin") {
				t.Error("another result")
			}
			if !bob.said(b.Key[:12]) {
				t.Errorf("nothing was said of it: %q", bob.notes)
			}
			left, err := os.ReadDir(root)
			must(t, err)
			if inner, err := os.ReadDir(filepath.Join(root, "bob")); err != nil || len(inner) != 1 || len(left) != 2 {
				t.Errorf("written elsewhere: %v, %v, %v", left, inner, err)
			}
			// toFolder leaves what no one can write over.
			if _, ran := newMember(t, "carol@three", where).run(edited); ran != "" && !strings.HasSuffix(name, "a folder") {
				t.Errorf("carol ran %q: the store is not mended", ran)
			}
		})
	}
}

func TestWhatIsSaidOfAResultCannotActOnATerminal(t *testing.T) {
	where := filepath.Join(t.TempDir(), "team")
	alice := newMember(t, "alice@one", where)
	first, _ := alice.run(words)
	a := stepOf(t, first, "a")
	rewrite(func(m map[string]any, _ []any) { m["by"], m["notes"] = "eve\x1b[2J", []any{"\x1b]0;owned\x07"} })(t, where, a.Key)
	done := stepOf(t, newMember(t, "bob@two", where).plan(words), "a").Done
	if done == nil || bytes.ContainsAny([]byte(strings.Join(done.Told(), "\n")), "\x1b\x07") {
		t.Errorf("%+v", done)
	}
}

func TestOldResultsGoWithTheFilesThatNoOtherHas(t *testing.T) {
	where := filepath.Join(t.TempDir(), "team")
	alice := newMember(t, "alice@one", where)
	first, _ := alice.run(words)
	old, long := stepOf(t, first, "d"), time.Now().Add(-100*24*time.Hour)
	must(t, os.Chtimes(filepath.Join(where, filepath.FromSlash(nameOf(old.Key))), long, long))
	must(t, filepath.Walk(filepath.Join(where, "sha256"), func(p string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(p, long, long)
	}))
	must(t, os.WriteFile(filepath.Join(where, "incoming", strings.Repeat("0", 64)+".dead"), nil, 0o644))
	must(t, os.Chtimes(filepath.Join(where, "incoming", strings.Repeat("0", 64)+".dead"), long, long))
	list, err := alice.store.List(t.Context())
	if err != nil || len(list) != 4 || list[0].By != "alice@one" || list[0].Bytes < bigSize {
		t.Fatalf("%+v, %v", list, err)
	}
	removed, freed, err := alice.store.Prune(t.Context(), time.Now().Add(-90*24*time.Hour))
	if err != nil || len(removed) != 1 || removed[0].Key != old.Key || freed < bigSize {
		t.Errorf("removed %+v, %d bytes, %v", removed, freed, err)
	}
	if left, err := os.ReadDir(filepath.Join(where, "incoming")); err != nil || len(left) != 0 {
		t.Errorf("left of what was begun: %v, %v", left, err)
	}
	if _, ran := newMember(t, "bob@two", where).run(words); ran != "d" {
		t.Errorf("bob ran %q", ran)
	}
	if _, _, err := alice.store.Prune(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if list, err := alice.store.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestAStoreThatIsNoneIsRefused(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	if _, err := Open(t.Context(), Options{Where: "ftp://host/x"}); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Error(err)
	}
	if _, err := Open(t.Context(), Options{Where: filepath.Join(t.TempDir(), "x"), By: strings.Repeat("x", 101)}); experiments.CodeOf(err) != experiments.CodeInvalid {
		t.Error(err)
	}
}
