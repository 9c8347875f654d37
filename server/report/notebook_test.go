package report

import (
	"bytes"
	"strings"
	"testing"
)

func TestANotebookComesOutOfAReportAsItWentIn(t *testing.T) {
	page := []byte("<!doctype html><html><main><p>x</p></main></html>")
	for name, text := range map[string]string{
		"plain": "# A\n", "ends of Windows": "a\r\nb\r", "no UTF-8": "\xff\x00\xfe", "empty": "", "an end of a script": "</script><script>alert(1)</script>\n</main>",
		"a notebook in a notebook": `<script type="application/octet-stream" id="triality-notebook" data-name="x">QQ==</script>`,
	} {
		file := `a"b<c>.md`
		with, err := WithNotebook(page, "en", file, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		gotName, got, ok := Notebook(with)
		if !ok || gotName != file || !bytes.Equal(got, []byte(text)) {
			t.Errorf("%s: %q %q %v", name, gotName, got, ok)
		}
		if strings.Contains(string(with), "alert(1)</script>") || !bytes.HasSuffix(with, []byte("</main></html>")) {
			t.Errorf("%s: %s", name, with)
		}
	}
	if _, _, ok := Notebook(page); ok {
		t.Error("a page without a notebook gives one")
	}
	if _, err := WithNotebook([]byte("<html>"), "en", "a", nil); err == nil {
		t.Error("what is no report takes one")
	}
}
