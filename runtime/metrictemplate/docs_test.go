package metrictemplate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/runtime/metrictemplate"
)

func TestTheDocumentationGivesTheCommandsOfTheREADMEs(t *testing.T) {
	for _, doc := range []string{"metrics.md", "metrics.ja.md"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", doc))
		if err != nil {
			t.Fatal(err)
		}
		for _, lang := range metrictemplate.Languages() {
			dir := t.TempDir()
			if err := metrictemplate.Write(dir, lang, "my_metric"); err != nil {
				t.Fatal(err)
			}
			want := "triality metric new --lang " + lang + " my_metric\n(cd my_metric && " +
				strings.Join(commands(t, filepath.Join(dir, "my_metric", "README.md")), " && ") + ")\n"
			if !strings.Contains(string(text), want) {
				t.Errorf("%s lacks\n%s", doc, want)
			}
		}
	}
}
