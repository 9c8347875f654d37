package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rowOf is a row of so many bytes, without its line's end.
func rowOf(bytes int) string {
	const head, tail = `{"input":"`, `","output":"DENY","four_class_label":"DENY"}`
	return head + strings.Repeat("x", bytes-len(head)-len(tail)) + tail
}

func TestLinesAtTheBordersOfStretchesAreReadOnceAndHashed(t *testing.T) {
	tests := map[string]struct {
		text  string
		lines []int // of the rows
	}{}
	for over := -2; over <= 2; over++ {
		// The first line ends at a border or beside it, the third lies over the next.
		text := rowOf(part+over-1) + "\n\n" + rowOf(part+part/2) + "\nbad\n" + rowOf(100)
		tests[fmt.Sprintf("a line that ends %+d bytes from the border", over)] = struct {
			text  string
			lines []int
		}{text, []int{1, 3, 5}}
		tests[fmt.Sprintf("a file that ends %+d bytes from the border", over)] = struct {
			text  string
			lines []int
		}{rowOf(100) + "\n" + rowOf(part+over-102) + "\n", []int{1, 2}}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(files(t, map[string]string{"a.jsonl": tt.text}), "a.jsonl")
			rows, err := Read(context.Background(), path, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Split(tt.text, "\n")
			var lines []int
			for _, r := range rows.Rows {
				lines = append(lines, r.Line)
				if want := text[r.Line-1]; len(r.Input) != strings.Count(want, "x") {
					t.Errorf("line %d has %d characters, want %d", r.Line, len(r.Input), strings.Count(want, "x"))
				}
			}
			if !slices.Equal(lines, tt.lines) || rows.Skipped != strings.Count(tt.text, "bad") {
				t.Errorf("rows of the lines %v and %d bad ones (%.200q), want %v", lines, rows.Skipped, rows.Problems, tt.lines)
			}
			if sum := sha256.Sum256(fmt.Appendf(nil, "a.jsonl %d\n%s", len(tt.text), tt.text)); rows.Digest != hex.EncodeToString(sum[:]) {
				t.Error("the digest is not that of the file's bytes")
			}
		})
	}
}

func TestALineMayBeAsLongAsTheLimit(t *testing.T) {
	// The second line begins at the end of a stretch, the third, which is too long, where one begins.
	text := rowOf(part-2) + "\n" + rowOf(maxLine) + "\n" + rowOf(maxLine+1) + "\n" + rowOf(100)
	path := filepath.Join(files(t, map[string]string{"a.jsonl": text}), "a.jsonl")
	rows, err := Read(context.Background(), path, false, nil)
	if err != nil || len(rows.Rows) != 3 || rows.Rows[1].Line != 2 || rows.Rows[2].Line != 4 {
		t.Fatalf("%d rows, %.200q, %v", len(rows.Rows), rows.Problems, err)
	}
	if len(rows.Problems) != 1 || !strings.Contains(rows.Problems[0], "a.jsonl:3: the line is longer than 8388608 bytes") {
		t.Errorf("problems %.200q", rows.Problems)
	}
}
