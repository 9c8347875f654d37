package report

import (
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

var verb = regexp.MustCompile(`%(?:\[\d+\])?[sd%]`)

func TestBothLanguagesHaveEveryTextWithTheSameVerbs(t *testing.T) {
	for key, en := range english {
		ja, ok := japanese[key]
		if !ok {
			t.Errorf("Japanese lacks %q", key)
			continue
		}
		if a, b := verbs(en), verbs(ja); a != b {
			t.Errorf("%q: English takes %s, Japanese %s", key, a, b)
		}
		if en == "" || ja == "" {
			t.Errorf("%q is empty", key)
		}
	}
	for key := range japanese {
		if _, ok := english[key]; !ok {
			t.Errorf("English lacks %q", key)
		}
	}
}

func verbs(s string) string {
	found := verb.FindAllString(s, -1)
	for i := range found {
		found[i] = found[i][len(found[i])-1:]
	}
	sort.Strings(found)
	return strings.Join(found, "")
}

// TestEveryTextIsUsedAndEveryUseIsThere reads the keys from the source.
func TestEveryTextIsUsedAndEveryUseIsThere(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, f := range files {
		if f == "catalogue.go" || strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	for _, m := range regexp.MustCompile(`b\.t\("([^"]+)"[,)]`).FindAllStringSubmatch(source.String(), -1) {
		if _, ok := english[m[1]]; !ok {
			t.Errorf("b.t(%q) has no text", m[1])
		}
	}
	// Keys made of a prefix and data: b.or("status."+…).
	prefixes := regexp.MustCompile(`"([a-z.]+\.)"\s*\+`).FindAllStringSubmatch(source.String(), -1)
	for key := range english {
		used := strings.Contains(source.String(), `"`+key+`"`) || strings.Contains(source.String(), `">`+key+`"`)
		for _, p := range prefixes {
			used = used || strings.HasPrefix(key, p[1])
		}
		if !used {
			t.Errorf("%q is not used", key)
		}
	}
}
