package dataset

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"triality/experiments"
)

func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "four_class_folder.jsonl"), 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip("no sockets in files here: ", err)
	}
	defer l.Close()
	tests := []struct{ name, path, want string }{
		{"a folder that a pattern matches", filepath.Join(dir, "*.jsonl"), "four_class_folder.jsonl: is a folder"},
		{"a folder whose file is a folder", dir, "four_class_folder.jsonl: is a folder"},
		{"a socket", socket, "s: is a socket"},
		{"a device", os.DevNull, "is a device"},
	}
	if fifo, err := makePipe(dir); err == nil {
		tests = append(tests, struct{ name, path, want string }{"a pipe that nobody writes to", fifo, "is a named pipe"})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(context.Background(), tt.path, false, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) || experiments.CodeOf(err) != experiments.CodeInvalid {
				t.Errorf("rows: error %v, want %q", err, tt.want)
			}
			if strings.Contains(tt.path, "*") || tt.path == dir {
				return
			}
			if _, err := ReadText(tt.path); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("text: error %v, want %q", err, tt.want)
			}
		})
	}
}

// many is a file of several stretches, with bad lines at places where stretches meet.
func many(t *testing.T) (path string, rows int) {
	t.Helper()
	var b strings.Builder
	for i := 0; b.Len() < 3*part+1000; i++ {
		if i%7 == 3 {
			fmt.Fprintf(&b, "bad line %d\n", i)
			continue
		}
		fmt.Fprintf(&b, `{"input":"row %d %s","output":"DENY","four_class_label":"DENY"}`+"\r\n", i, strings.Repeat("x", i*37%900))
		rows++
	}
	return filepath.Join(files(t, map[string]string{"a.jsonl": b.String()}), "a.jsonl"), rows
}

func TestRowsOfSeveralStretchesAreReadInOrderWithTheirLines(t *testing.T) {
	path, want := many(t)
	rows, err := Read(context.Background(), path, false, nil)
	if err != nil || len(rows.Rows) != want {
		t.Fatalf("%d rows, %v; want %d", len(rows.Rows), err, want)
	}
	for _, r := range rows.Rows {
		if !strings.HasPrefix(r.Input, fmt.Sprintf("row %d ", r.Line-1)) {
			t.Fatalf("%s has %.20q", r.where(), r.Input)
		}
	}
	if rows.Skipped < 100 || len(rows.Problems) != problemsKept || !strings.Contains(rows.Problems[1], fmt.Sprintf("%s:11: ", path)) {
		t.Errorf("%d skipped, %d kept, the second %q", rows.Skipped, len(rows.Problems), rows.Problems[1])
	}
}

func TestAFileThatChangesWhileItIsRead(t *testing.T) {
	path, want := many(t)
	changed := false
	change := func(do func(f *os.File) error) teller {
		return teller{progress: func(experiments.Progress) {
			if changed {
				return
			}
			changed = true
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err == nil {
				err = errors.Join(do(f), f.Close())
			}
			if err != nil {
				t.Error(err)
			}
		}}
	}
	rows, err := Read(context.Background(), path, false, change(func(f *os.File) error { _, err := f.WriteString(goodLine + "\n"); return err }))
	if err != nil || len(rows.Rows) != want || len(rows.Notes) != 1 || !strings.Contains(rows.Notes[0], "grew while it was read") {
		t.Errorf("grown: %d rows, notes %q, %v; want %d", len(rows.Rows), rows.Notes, err, want)
	}
	changed = false
	if _, err = Read(context.Background(), path, false, change(func(f *os.File) error { return f.Truncate(10) })); err == nil || !strings.Contains(err.Error(), "became shorter while it was read") {
		t.Errorf("shortened: %v", err)
	}
}

func TestReadingStopsWhenTheContextEnds(t *testing.T) {
	path, _ := many(t)
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := Read(ctx, path, false, teller{progress: func(experiments.Progress) { cancel() }}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestLinesOfAFileAreNamedWithTheirFault(t *testing.T) {
	for text, want := range map[string]string{
		"{}\n\n{\"a\":\"\\ud800\"}\n": "a.jsonl:3: \\ud800 is half of a character",
		"{}\n\xff\n":                  "a.jsonl:2: is not valid UTF-8",
		"\xef\xbb\xbf{}\r\n \n{}":     "",
	} {
		n := 0
		err := EachLine(filepath.Join(files(t, map[string]string{"a.jsonl": text}), "a.jsonl"), func(line []byte) error {
			n++
			if string(line) != "{}" {
				return fmt.Errorf("line %q", line)
			}
			return nil
		})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) || err == nil && n != 2 {
			t.Errorf("%q: %v, %d lines", text, err, n)
		}
	}
}
