package report

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html"
	"regexp"

	"triality/experiments"
)

var (
	notebookForm   = regexp.MustCompile(`(?s)<script type="application/octet-stream" id="triality-notebook" data-name="([^"]*)">([A-Za-z0-9+/=\s]*)</script>`)
	notebookTitles = map[string]string{"en": "Notebook", "ja": "ノートブック"}
)

// WithNotebook puts a notebook's text into a report: to be read, and, byte for byte, for Notebook to take out.
func WithNotebook(page []byte, language, name string, text []byte) ([]byte, error) {
	at := bytes.LastIndex(page, []byte("</main>"))
	if at < 0 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "the page is no report")
	}
	var out bytes.Buffer
	out.Write(page[:at])
	fmt.Fprintf(&out, "<section aria-labelledby=\"notebook\">\n<h2 id=\"notebook\">%s</h2>\n<details>\n<summary>%s</summary>\n<pre>%s</pre>\n</details>\n</section>\n",
		notebookTitles[language], html.EscapeString(name), html.EscapeString(string(bytes.ToValidUTF8(text, []byte("\uFFFD")))))
	fmt.Fprintf(&out, "<script type=\"application/octet-stream\" id=\"triality-notebook\" data-name=\"%s\">%s</script>\n",
		html.EscapeString(name), base64.StdEncoding.EncodeToString(text))
	out.Write(page[at:])
	return out.Bytes(), nil
}

// Notebook gives the notebook that WithNotebook put into a page; ok is false where there is none.
func Notebook(page []byte) (name string, text []byte, ok bool) {
	all := notebookForm.FindAllSubmatch(page, -1)
	if len(all) == 0 {
		return "", nil, false
	}
	m := all[len(all)-1] // what stands before it may be anybody's text, though escaped
	text, err := base64.StdEncoding.DecodeString(string(m[2]))
	if err != nil {
		return "", nil, false
	}
	return html.UnescapeString(string(m[1])), text, true
}
