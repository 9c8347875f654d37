package hub

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

const someCommit = "0123456789abcdef0123456789abcdef01234567"

func listingOf(name string) string {
	return fmt.Sprintf(`{"sha":%q,"siblings":[{"rfilename":%q,"size":1}]}`, someCommit, name)
}

func TestHostileListingsAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a name that climbs":            listingOf("../x"),
		"a name that climbs later":      listingOf("a/../../x"),
		"an absolute name":              listingOf("/etc/passwd"),
		"a name with a backslash":       listingOf(`a\b`),
		"a name with a drive":           listingOf(`C:\x`),
		"a name with a control":         `{"sha":"` + someCommit + `","siblings":[{"rfilename":"a\u0000b"}]}`,
		"a name that is not clean":      listingOf("a//b"),
		"an empty name":                 listingOf(""),
		"a name of a folder":            listingOf("a/"),
		"a name longer than any":        listingOf(strings.Repeat("a", 2000)),
		"a commit that climbs":          `{"sha":"../../x","siblings":[]}`,
		"no commit":                     `{"siblings":[]}`,
		"one name twice":                `{"sha":"` + someCommit + `","siblings":[{"rfilename":"a"},{"rfilename":"a"}]}`,
		"a hash that climbs":            `{"sha":"` + someCommit + `","siblings":[{"rfilename":"a","blobId":"../../../x"}]}`,
		"a hash of a large file, ditto": `{"sha":"` + someCommit + `","siblings":[{"rfilename":"a","lfs":{"sha256":"../../x","size":1}}]}`,
		"a negative size":               `{"sha":"` + someCommit + `","siblings":[{"rfilename":"a","size":-5}]}`,
		"no JSON":                       `<html>`,
		"another JSON":                  `[1]`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseListing([]byte(text)); !errors.Is(err, ErrRefused) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestParseRef(t *testing.T) {
	good := map[string]Ref{
		"org/name":             {"org/name", "main"},
		"Qwen/Qwen2.5-0.5B":    {"Qwen/Qwen2.5-0.5B", "main"},
		"org/name@v1.0":        {"org/name", "v1.0"},
		"org/name@refs/pr/1":   {"org/name", "refs/pr/1"},
		"a/b@" + someCommit:    {"a/b", someCommit},
		"org_1/name.with-dots": {"org_1/name.with-dots", "main"},
	}
	for text, want := range good {
		if got, err := ParseRef(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "name", "org/", "/name", "a/b/c", "./model", "../model", "org/..", "a--b/c", "org/na..me", "org/name.git", "org/name@", "org/name@../x",
		"org/name@/x", "org/name@a b", `org\name`, "org/name@a:b", "-a/b", "org/" + strings.Repeat("a", 100), "org/name@a@b", "~/model",
	} {
		if got, err := ParseRef(text); err == nil {
			t.Errorf("%q gives %v", text, got)
		}
	}
}

// FuzzListing holds the parser to what the rest relies on: what it lets through is safe to put into a
// folder.
func FuzzListing(f *testing.F) {
	f.Add([]byte(listingOf("config.json")))
	f.Add([]byte(listingOf("../x")))
	f.Add([]byte(`{"sha":"` + someCommit + `","siblings":[{"rfilename":"a/b","size":3,"blobId":"` + someCommit + `","lfs":{"sha256":"` + strings.Repeat("ab", 32) + `","size":7}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseListing(text)
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("error %v has no kind", err)
			}
			return
		}
		if !isCommit(l.Commit) {
			t.Fatalf("commit %q", l.Commit)
		}
		seen := map[string]bool{}
		for _, file := range l.Files {
			rel, err := filepath.Rel("/snapshot", filepath.Join("/snapshot", filepath.FromSlash(file.Path)))
			if err != nil || rel != filepath.FromSlash(file.Path) || !filepath.IsLocal(rel) || strings.ContainsAny(file.Path, "\\\x00\n") || seen[file.Path] {
				t.Fatalf("name %q", file.Path)
			}
			seen[file.Path] = true
			if h := file.hash(); h != "" && !isCommit(h) || file.Size < -1 {
				t.Fatalf("hash %q, size %d", h, file.Size)
			}
		}
	})
}

// FuzzTree does the same for the listing in the cache, which another program may have written.
func FuzzTree(f *testing.F) {
	f.Add([]byte(`{"format_version":1,"files":{"config.json":{"size":1,"blob_id":"` + someCommit + `"}}}`))
	f.Add([]byte(`{"format_version":1,"files":{"../x":{"size":1,"blob_id":"x","lfs_sha256":"y","lfs_size":-4}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseTree(someCommit, text)
		if err != nil {
			return
		}
		for _, file := range l.Files {
			if !filepath.IsLocal(filepath.FromSlash(file.Path)) || file.Size < -1 {
				t.Fatalf("%+v", file)
			}
		}
	})
}
