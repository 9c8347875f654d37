package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"triality/server/books"
)

// A program lists cells, changes one, asks for it to be run and says who it is; the notebook's history has that, beside what a page
// and an editor did.
func TestAProgramEditsACellAndTheHistoryHasWho(t *testing.T) {
	w := newWorld(t, nil)
	get := func(path string, into any) {
		t.Helper()
		r := w.do("GET", path, "")
		if err := json.Unmarshal(r.Body.Bytes(), into); r.Code != 200 || err != nil {
			t.Fatalf("%s: %d %s, %v", path, r.Code, r.Body, err)
		}
	}
	var list books.CellTexts
	get("/api/v1/notebooks/cells?name=a.md", &list)
	put := func(path, body, rev string, headers ...string) {
		t.Helper()
		if r := w.do("PUT", path, body, append(headers, "If-Match: "+fmt.Sprintf("%q", rev))...); r.Code != 200 {
			t.Fatalf("%d %s", r.Code, r.Body)
		}
		get("/api/v1/notebooks/cells?name=a.md", &list)
	}
	cell := func(text string) string {
		t.Helper()
		body, err := json.Marshal(newCellText{Name: "a.md", ID: "a", Body: strings.Replace(list.Cells[0].Body, "rows", text, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	const cells = "/api/v1/notebooks/cells"
	put(cells, cell("rows1"), list.Revision, "X-Triality-Client: assistant-1")
	put(cells, cell("rows2"), list.Revision)
	put("/api/v1/notebooks/a.md", `{"text":"`+"```triality convert id=a\\n```"+`"}`, list.Revision, "Sec-Fetch-Site: same-origin")
	var history struct {
		Items []books.Version `json:"items"`
	}
	get("/api/v1/notebooks/history?name=a.md", &history)
	var by []string
	for _, v := range history.Items {
		by = append(by, v.By)
	}
	if want := []string{"page", "api", "assistant-1", ""}; !slices.Equal(by, want) {
		t.Errorf("the history says %q, want %q", by, want)
	}
	var before books.Book
	get("/api/v1/notebooks/a.md?revision="+history.Items[2].Revision, &before)
	if want := strings.Replace(bookOfTest, "rows", "rows1", 1); before.Text != want {
		t.Errorf("outside the cell something changed: %q", before.Text)
	}
}
