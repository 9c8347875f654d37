package dataset

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
)

// files writes files into a folder and gives it.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadTakesFilesAsTheyComeFromEditors(t *testing.T) {
	long := `{"input":"` + strings.Repeat("x", maxLine) + `","output":"o","four_class_label":"ALLOW"}`
	tests := []struct {
		name, text string
		rows       int
		problems   []string // one each, in order; each must be contained
	}{
		{"plain lines", goodLine + "\n" + goodLine + "\n", 2, nil},
		{"no newline at the end", goodLine + "\n" + goodLine, 2, nil},
		{"a byte order mark", "\xef\xbb\xbf" + goodLine + "\n", 1, nil},
		{"a byte order mark in a later line is a fault", goodLine + "\n\xef\xbb\xbf" + goodLine + "\n", 1, []string{"a.jsonl:2: "}},
		{"Windows line ends", goodLine + "\r\n\r\n" + goodLine + "\r\n", 2, nil},
		{"empty lines are passed over and counted", "\n \n" + goodLine + "\n\nbad\n", 1, []string{"a.jsonl:5: is not a JSON object"}},
		{"a bad line is skipped with file, line and field", goodLine + "\n" + `{"input":"a","output":"b","four_class_label":"X"}` + "\n" + goodLine, 2,
			[]string{"a.jsonl:2: four_class_label: unknown label \"X\""}},
		{"a line longer than the limit is skipped, the next is read", long + "\n" + goodLine + "\n", 1, []string{"a.jsonl:1: the line is longer than 8388608 bytes"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(files(t, map[string]string{"a.jsonl": tt.text}), "a.jsonl")
			rows, err := Read(context.Background(), path, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(rows.Rows) != tt.rows || len(rows.Problems) != len(tt.problems) {
				t.Fatalf("%d rows and problems %q, want %d and %q", len(rows.Rows), rows.Problems, tt.rows, tt.problems)
			}
			for i, want := range tt.problems {
				if !strings.Contains(rows.Problems[i], want) {
					t.Errorf("problem %q, want %q", rows.Problems[i], want)
				}
			}
			_, err = Read(context.Background(), path, true, nil)
			if strict := len(tt.problems) > 0; (err != nil) != strict {
				t.Errorf("strict: error %v, want one: %v", err, strict)
			} else if strict && (!strings.Contains(err.Error(), tt.problems[0]) || !strings.Contains(err.Error(), "data.strict") || experiments.CodeOf(err) != experiments.CodeInvalid) {
				t.Errorf("strict: error %v", err)
			}
		})
	}
}

func TestReadSaysWhatIsWrongWithTheInput(t *testing.T) {
	dir := files(t, map[string]string{"empty.jsonl": "", "bad.jsonl": "nothing\n", "other.jsonl": goodLine, "four_class_a.jsonl": goodLine, "four_class_b.jsonl": goodLine + "\n" + goodLine})
	t.Run("a folder stands for its four_class files, in order", func(t *testing.T) {
		rows, err := Read(context.Background(), dir, true, nil)
		if err != nil || len(rows.Rows) != 3 || len(rows.Files) != 2 || rows.Rows[2].Line != 2 || filepath.Base(rows.Rows[2].File) != "four_class_b.jsonl" {
			t.Errorf("%+v %v", rows, err)
		}
	})
	t.Run("a pattern stands for what it matches", func(t *testing.T) {
		rows, err := Read(context.Background(), filepath.Join(dir, "*_b.jsonl"), true, nil)
		if err != nil || len(rows.Rows) != 2 {
			t.Errorf("%+v %v", rows, err)
		}
	})
	tests := []struct {
		name, input string
		code        experiments.Code
		want        []string
	}{
		{"a missing file", filepath.Join(dir, "none.jsonl"), experiments.CodeNotFound, []string{"none.jsonl"}},
		{"a folder without files", t.TempDir(), experiments.CodeNotFound, []string{"four_class_*.jsonl"}},
		{"a pattern that is none", filepath.Join(dir, "[a"), experiments.CodeInvalid, []string{"not a valid pattern"}},
		{"an empty file", filepath.Join(dir, "empty.jsonl"), experiments.CodeInvalid, []string{"no usable row", "the files are empty"}},
		{"a file of bad lines", filepath.Join(dir, "bad.jsonl"), experiments.CodeInvalid, []string{"no usable row", "bad.jsonl:1: is not a JSON object"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(context.Background(), tt.input, false, nil)
			if err == nil || experiments.CodeOf(err) != tt.code {
				t.Fatalf("error %v, want code %s", err, tt.code)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error %q lacks %q", err, w)
				}
			}
		})
	}
}

func FuzzReadRows(f *testing.F) {
	f.Add([]byte("\xef\xbb\xbf" + goodLine + "\r\n\n{}\n" + goodLine))
	f.Add([]byte("\n\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		var rs, strict Rows
		if err := rs.readFile(context.Background(), path, false, sha256.New(), silent{}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Count(string(text), "\n") + 1
		if len(rs.Rows)+rs.Skipped > lines {
			t.Errorf("%d rows and %d problems from %d lines", len(rs.Rows), rs.Skipped, lines)
		}
		if err := strict.readFile(context.Background(), path, true, sha256.New(), silent{}); (err == nil) != (rs.Skipped == 0) {
			t.Errorf("strict: %v; %d problems", err, rs.Skipped)
		}
	})
}
