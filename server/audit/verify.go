package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"triality/experiments"
	"triality/runtime/filelock"
)

// Problem is something that is not as it was written.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // from 1; 0: of the file
	Text string `json:"text"`
}

func (p Problem) String() string {
	if p.Line == 0 {
		return p.File + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
}

// Report is what Verify found.
type Report struct {
	Entries  int64     `json:"entries"`
	Head     Head      `json:"head"` // that of the anchor
	Problems []Problem `json:"problems"`
}

// maxProblems are named; what follows the first is often its consequence.
const maxProblems = 20

// chain checks entries one after the other.
type chain struct {
	seq  int64
	hash string
}

// check checks the next line; where it is wrong the chain goes on from what the line says, as far as it says anything.
func (c *chain) check(line []byte) (Entry, error) {
	c.seq++
	e, err := parse(line)
	switch {
	case err != nil:
		c.hash = ""
		return e, fmt.Errorf("entry %d was changed: %w", c.seq, err)
	case e.Seq != c.seq:
		err = fmt.Errorf("entry %d stands where %d should: entries were removed, added or moved", e.Seq, c.seq)
	case c.hash != "" && e.Previous != c.hash:
		err = fmt.Errorf("entry %d does not follow the one before it", e.Seq)
	}
	c.seq, c.hash = e.Seq, e.Hash
	return e, err
}

// Verify reads a folder's log from its beginning and finds whatever was changed, removed, added or put in another order,
// as the anchor tells it. want, where not nil, is a head that the log had once: its entry must be there still. A log
// that is being written meanwhile is waited for.
func Verify(dir string, want *Head) (Report, error) {
	for try := 0; ; try++ {
		r, err := verify(dir, want)
		if err != nil || len(r.Problems) == 0 || try == 20 {
			return r, err
		}
		unlock, err := filelock.Try(filepath.Join(dir, lockName))
		if err != nil || unlock != nil { // nobody writes
			if unlock != nil {
				unlock()
			}
			return r, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func verify(dir string, want *Head) (r Report, err error) {
	anchor, err := readAnchor(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if found, listErr := segments(dir); listErr == nil && len(found) > 0 {
			return Report{Problems: []Problem{{File: filepath.Join(dir, anchorName), Text: "it was removed: the log's end cannot be told"}}}, nil
		}
		return r, experiments.Errorf(experiments.CodeNotFound, "%s: no audit log there", dir)
	}
	r.Head, r.Problems = anchor, []Problem{}
	if err != nil {
		r.add(filepath.Join(dir, anchorName), 0, err.Error())
	}
	salt, err := readSalt(dir)
	if err != nil {
		r.add(filepath.Join(dir, saltName), 0, err.Error())
		return r, nil
	}
	all, err := segments(dir)
	if err != nil {
		r.add(dir, 0, err.Error())
		return r, nil
	}
	c := chain{hash: genesis(salt)}
	kept := want == nil || want.Seq == 0 && want.Hash == c.hash
	for _, s := range all {
		if s.first != c.seq+1 {
			r.add(s.path, 0, fmt.Sprintf("it begins with entry %d, not %d: a segment was removed or renamed", s.first, c.seq+1))
			c = chain{seq: s.first - 1}
		}
		n := 0
		if err := s.lines(func(line []byte, _ int64) error {
			n++
			e, err := c.check(line)
			if err != nil {
				r.add(s.path, n, err.Error())
			}
			if want != nil && err == nil && e.Seq == want.Seq && e.Hash == want.Hash {
				kept = true
			}
			r.Entries++
			return nil
		}); err != nil {
			return r, err
		}
	}
	if end := (Head{c.seq, c.hash}); end != anchor {
		text := fmt.Sprintf("the log ends with entry %d, its anchor names %d", end.Seq, anchor.Seq)
		switch {
		case end.Seq < anchor.Seq:
			text += ": entries were removed at the end"
		case end.Seq > anchor.Seq:
			text += ": entries were added, or a server died over the last one; the next start mends that"
		default:
			text += " with another hash"
		}
		r.add(filepath.Join(dir, anchorName), 0, text)
	}
	if !kept {
		r.add(dir, 0, fmt.Sprintf("entry %d with the hash %s, which the log had, is not in it", want.Seq, want.Hash))
	}
	return r, nil
}

func (r *Report) add(file string, line int, text string) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, Problem{file, line, text})
	}
}

// Read calls do with each entry, from the first on, until it returns false. What is no entry is an error.
func Read(dir string, do func(Entry) bool) error {
	all, err := segments(dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return experiments.Errorf(experiments.CodeNotFound, "%s: no audit log there", dir)
		}
		return err
	}
	for _, s := range all {
		n := 0
		done := errors.New("done")
		err := s.lines(func(line []byte, _ int64) error {
			n++
			if line[len(line)-1] != '\n' { // it is being written
				return done
			}
			e, err := parse(line)
			if err != nil {
				return experiments.Errorf(experiments.CodeInvalid, "%s:%d: %w", s.path, n, err)
			}
			if !do(e) {
				return done
			}
			return nil
		})
		if errors.Is(err, done) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Salt reads the key of a folder's keyed hashes.
func Salt(dir string) ([]byte, error) { return readSalt(dir) }
