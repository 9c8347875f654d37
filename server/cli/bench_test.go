package cli

import (
	"strings"
	"testing"
)

func TestAFileIsCutIntoDocumentsAtTheEndsOfLines(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want int
	}{
		"nothing":                {"", 0},
		"a short file":           {"a\nb\n", 1},
		"one long line":          {strings.Repeat("x", 20_000), 1},
		"many lines":             {strings.Repeat(strings.Repeat("x", 99)+"\n", 100), 3},
		"a last line cut off":    {strings.Repeat("x", 5000) + "\ny", 2},
		"as much as fits in one": {strings.Repeat("x", 4095) + "\n", 1},
	} {
		docs := documents(tt.text)
		if len(docs) != tt.want || strings.Join(docs, "") != tt.text {
			t.Errorf("%s: %d documents, want %d; whole again: %t", name, len(docs), tt.want, strings.Join(docs, "") == tt.text)
		}
	}
}
