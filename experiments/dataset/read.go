package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"triality/experiments"
)

// maxLine bounds one row, in bytes.
const maxLine = 8 << 20

// Rows is what a set of files held.
type Rows struct {
	Files    []string
	Rows     []Row
	Problems []string // "file:line: field: reason", one a bad line
}

// Find lists the files that input names: a file, a folder of four_class_*.jsonl, or a glob pattern.
func Find(input string) ([]string, error) {
	info, err := os.Stat(input)
	if err == nil && !info.IsDir() {
		return []string{input}, nil
	}
	pattern := input
	if err == nil {
		pattern = filepath.Join(input, "four_class_*.jsonl")
	}
	files, globErr := filepath.Glob(pattern)
	if globErr != nil {
		return nil, experiments.Errorf(experiments.CodeInvalid, "data.input_path: %q is not a valid pattern: %w", input, globErr)
	}
	if len(files) == 0 {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, experiments.Errorf(experiments.CodeInvalid, "data.input_path: %w", err)
		}
		return nil, experiments.Errorf(experiments.CodeNotFound, "data.input_path: no file matches %s", pattern)
	}
	slices.Sort(files)
	return files, nil
}

// Read reads every row of the files input names, in order. With strict set the first bad line is an
// error; otherwise bad lines are skipped and listed.
func Read(input string, strict bool) (Rows, error) {
	files, err := Find(input)
	if err != nil {
		return Rows{}, err
	}
	out := Rows{Files: files}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return Rows{}, experiments.Errorf(experiments.CodeInvalid, "read rows: %w", err)
		}
		err = out.read(f, name, strict)
		f.Close()
		if err != nil {
			return Rows{}, err
		}
	}
	if len(out.Rows) == 0 {
		detail := "the files are empty"
		if len(out.Problems) > 0 {
			detail = "the first problem: " + out.Problems[0]
		}
		return Rows{}, experiments.Errorf(experiments.CodeInvalid, "data.input_path: %s holds no usable row; %s", input, detail)
	}
	return out, nil
}

func (rs *Rows) read(r io.Reader, name string, strict bool) error {
	br := bufio.NewReaderSize(r, 1<<16)
	for n := 1; ; n++ {
		line, tooLong, err := readLine(br)
		if err != nil && err != io.EOF {
			return experiments.Errorf(experiments.CodeInvalid, "%s:%d: %w", name, n, err)
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if text := bytes.TrimSpace(line); len(text) > 0 || tooLong {
			if bad := rs.add(text, tooLong, name, n); bad != nil {
				problem := fmt.Sprintf("%s:%d: %v", name, n, bad)
				if strict {
					return experiments.Errorf(experiments.CodeInvalid, "%s (data.strict is set; without it the line would be skipped)", problem)
				}
				rs.Problems = append(rs.Problems, problem)
			}
		}
		if err == io.EOF {
			return nil
		}
	}
}

func (rs *Rows) add(text []byte, tooLong bool, name string, n int) error {
	if tooLong {
		return fmt.Errorf("the line is longer than %d bytes", maxLine)
	}
	row, err := ParseRow(text)
	if err != nil {
		return err
	}
	row.File, row.Line = name, n
	rs.Rows = append(rs.Rows, row)
	return nil
}

// readLine gives the next line without holding more than maxLine of it.
func readLine(br *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			tooLong, line = true, line[:0]
		}
		if !tooLong {
			line = append(line, part...)
		}
		if err != bufio.ErrBufferFull {
			return line, tooLong, err
		}
	}
}
