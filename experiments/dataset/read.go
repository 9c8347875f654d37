package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"triality/experiments"
	"triality/runtime/disk"
	"triality/runtime/ordered"
)

const (
	maxLine = 8 << 20 // bytes of one row
	part    = 1 << 20 // bytes of a file that one goroutine reads
)

// problemsKept bounds how many of the bad lines are kept word by word; all are counted.
const problemsKept = 100

// Rows is what a set of files held.
type Rows struct {
	Files    []string
	Rows     []Row
	Skipped  int      // bad lines
	Problems []string // "file:line: field: reason" of the first of them
	Notes    []string // what else is to be said of the files
	Bytes    int64    // of the files
	Digest   string   // SHA-256 of the files' names and of what was read of them
}

// Teller takes what reading and converting have to say.
type Teller interface {
	Progress(p experiments.Progress)
	Note(text string)
}

// silent is the Teller of those who do not listen.
type silent struct{}

func (silent) Progress(experiments.Progress) {}
func (silent) Note(string)                   {}

// Read reads every row of the files input names, in order. With strict set the first bad line is an
// error; otherwise bad lines are skipped, listed, and told, whatever comes after. tell may be nil. Files are
// read as they are when they are opened.
func Read(ctx context.Context, input string, strict bool, tell Teller) (Rows, error) {
	if tell == nil {
		tell = silent{}
	}
	files, err := Find(input)
	if err != nil {
		return Rows{}, err
	}
	out := Rows{Files: files, Bytes: sizes(files)}
	defer thrifty(out.Bytes)()
	digest := sha256.New()
	for _, name := range files {
		if err := out.readFile(ctx, name, strict, digest, tell); err != nil {
			return Rows{}, out.reason(err)
		}
	}
	out.Digest = hex.EncodeToString(digest.Sum(nil))
	out.tell(tell)
	if len(out.Rows) == 0 {
		detail := "the files are empty"
		if out.Skipped > 0 {
			detail = "the first problem: " + out.Problems[0]
		}
		return Rows{}, experiments.Errorf(experiments.CodeInvalid, "read rows: %s holds no usable row; %s", input, detail)
	}
	return out, nil
}

// sizes is what files hold; one that cannot be looked at is reported by who reads it.
func sizes(files []string) (n int64) {
	for _, name := range files {
		if info, err := disk.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// tell lists the bad lines.
func (rs *Rows) tell(tell Teller) {
	const listed = 20
	for _, p := range rs.Problems[:min(listed, len(rs.Problems))] {
		tell.Note("skipped " + p)
	}
	if rs.Skipped > listed {
		tell.Note(fmt.Sprintf("skipped %d lines more", rs.Skipped-listed))
	}
	for _, n := range rs.Notes {
		tell.Note(n)
	}
}

// reason adds the bad lines to an error that came after them: who sees only the error hears of them too.
func (rs *Rows) reason(err error) error {
	if rs.Skipped == 0 || err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return experiments.Errorf(experiments.CodeOf(err), "%w (%d bad lines were skipped before, the first: %s)", err, rs.Skipped, rs.Problems[0])
}

func (rs *Rows) readFile(ctx context.Context, name string, strict bool, digest hash.Hash, tell Teller) error {
	s, err := open(name)
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintf(digest, "%s %d\n", filepath.Base(name), s.size)
	line := 1
	parts := int((s.size + part - 1) / part)
	err = ordered.Run(parts, func(i int, p *filePart) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return p.read(s, int64(i)*part)
	}, func(i int, p *filePart) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		digest.Write(p.own)
		for _, bad := range p.problems {
			problem := fmt.Sprintf("%s:%d: %v", name, line+bad.line, bad.err)
			if strict {
				return experiments.Errorf(experiments.CodeInvalid, "%s (data.strict is set; without it the line would be skipped)", problem)
			}
			if rs.Skipped++; len(rs.Problems) < problemsKept {
				rs.Problems = append(rs.Problems, problem)
			}
		}
		if i == 0 {
			rs.Rows = slices.Grow(rs.Rows, len(p.rows)*parts+len(p.rows)/16)
		}
		for _, row := range p.rows {
			row.File, row.Line = name, line+row.Line
			rs.Rows = append(rs.Rows, row)
		}
		line += p.lines
		tell.Progress(experiments.Progress{Done: min(s.size, int64(i+1)*part) / 1e6, Total: s.size / 1e6, Unit: "MB", Note: "reading " + filepath.Base(name)})
		return nil
	})
	if err != nil {
		return err
	}
	note, err := s.grown()
	if note != "" {
		rs.Notes = append(rs.Notes, note)
	}
	return err
}

// filePart is the lines of a file that begin in one stretch of it.
type filePart struct {
	parser
	buffer   []byte
	own      []byte // the stretch itself
	rows     []Row  // Line counts from 0
	problems []badLine
	lines    int // that begin in it
}

type badLine struct {
	line int
	err  error
}

// read reads the stretch from an offset on, and the last line of it to its end.
func (p *filePart) read(s *source, from int64) error {
	p.buffer, p.rows, p.problems, p.lines = p.buffer[:0], p.rows[:0], p.problems[:0], 0
	end := min(from+part, s.size)
	lead := min(from, 1) // the byte before tells whether a line begins here
	if err := p.fill(s, from-lead, end); err != nil {
		return err
	}
	stretch := len(p.buffer)
	p.own = p.buffer[lead:stretch]
	at := 0
	if from > 0 {
		i := bytes.IndexByte(p.buffer, '\n')
		if i < 0 {
			return nil // of a line that began before
		}
		at = i + 1
	}
	for at < stretch {
		i := bytes.IndexByte(p.buffer[at:], '\n')
		tooLong := false
		for i < 0 && end < s.size && !tooLong { // only the last line
			more := min(end+part, s.size)
			before := len(p.buffer)
			if err := p.fill(s, end, more); err != nil {
				return err
			}
			p.own = p.buffer[lead:stretch]
			if i = bytes.IndexByte(p.buffer[before:], '\n'); i >= 0 {
				i += before - at
			}
			end = more
			tooLong = len(p.buffer)-at > maxLine
		}
		if i < 0 {
			i = len(p.buffer) - at
		}
		p.add(p.buffer[at:at+i], from == 0 && at == 0)
		at += i + 1
	}
	return nil
}

// fill reads bytes from … end behind what the buffer has.
func (p *filePart) fill(s *source, from, end int64) error {
	had := len(p.buffer)
	p.buffer = append(p.buffer, make([]byte, end-from)...)
	if _, err := s.ReadAt(p.buffer[had:], from); err != nil {
		if errors.Is(err, io.EOF) {
			return s.shrunk()
		}
		return experiments.Errorf(experiments.CodeInvalid, "read %s: %w", s.name, err)
	}
	return nil
}

func (p *filePart) add(line []byte, first bool) {
	n := p.lines
	p.lines++
	if first {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if len(line) > maxLine {
		p.problems = append(p.problems, badLine{n, fmt.Errorf("the line is longer than %d bytes", maxLine)})
		return
	}
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return
	}
	row, err := p.row(line)
	if err != nil {
		p.problems = append(p.problems, badLine{n, err})
		return
	}
	row.Line = n
	p.rows = append(p.rows, row)
}

// EachLine calls do for each line of a JSONL file that is not blank, without the white space around it. An
// error, of do or about the line, ends it and names file and line: what answers a file line by line skips none.
func EachLine(name string, do func(line []byte) error) error {
	text, err := ReadText(name)
	if err != nil {
		return err
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	n := 0
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		n++
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		err := checkText(line)
		if err == nil {
			err = do(line)
		}
		if err != nil {
			return experiments.Errorf(experiments.CodeInvalid, "%s:%d: %w", name, n, err)
		}
	}
	return nil
}

// checkText says what a JSON decoder would replace in a line without a word.
func checkText(line []byte) error {
	if !utf8.Valid(line) {
		return errors.New("is not valid UTF-8: save the file as UTF-8")
	}
	if escape, lone := loneSurrogate(line); lone && json.Valid(line) {
		return fmt.Errorf("%s is half of a character (a lone surrogate): write both halves, or leave it out", escape)
	}
	return nil
}
