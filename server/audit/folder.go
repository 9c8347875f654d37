package audit

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"triality/experiments"
	"triality/runtime/atomicfile"
	"triality/runtime/disk"
)

const (
	saltName   = "salt"
	anchorName = "anchor.json"
	lockName   = "lock"
	suffix     = ".jsonl"
)

// Head is the end of a log: its last entry's number and hash. Who keeps one elsewhere can tell later whether the log was
// changed up to there, even by one who may write every file of the server.
type Head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Seq, h.Hash) }

// ParseHead reads what String gives.
func ParseHead(text string) (Head, error) {
	number, hash, _ := strings.Cut(text, ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	if err != nil || seq < 0 || len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return Head{}, experiments.Errorf(experiments.CodeInvalid, "head %.100q: want NUMBER:HASH as `triality audit verify` prints it", text)
	}
	return Head{seq, hash}, nil
}

// segment is a file of entries.
type segment struct {
	path  string
	first int64
}

func segmentPath(dir string, first int64) string {
	return filepath.Join(dir, fmt.Sprintf("%012d%s", first, suffix))
}

// segments lists a log's files in order; a name that no segment has is an error.
func segments(dir string) ([]segment, error) {
	entries, err := disk.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	var out []segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok {
			continue
		}
		first, err := strconv.ParseInt(name, 10, 64)
		if err != nil || first < 1 || segmentPath(dir, first) != filepath.Join(dir, e.Name()) {
			return nil, experiments.Errorf(experiments.CodeInvalid, "audit log %s: %s is no segment's name", dir, e.Name())
		}
		out = append(out, segment{filepath.Join(dir, e.Name()), first})
	}
	slices.SortFunc(out, func(a, b segment) int { return int(min(1, max(-1, a.first-b.first))) })
	return out, nil
}

// lines calls do with each line of a segment, its break included, the last one perhaps without, and with where it begins.
func (s segment) lines(do func(line []byte, at int64) error) (err error) {
	f, err := disk.OpenRegular(s.path)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r := bufio.NewReaderSize(f, maxLine+1)
	for at := int64(0); ; {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			if err := do(line, at); err != nil {
				return err
			}
			at += int64(len(line))
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("audit log: %w", err)
		}
	}
}

func readSalt(dir string) ([]byte, error) {
	salt, err := disk.ReadRegular(filepath.Join(dir, saltName), 1<<10)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	if len(salt) != 32 {
		return nil, experiments.Errorf(experiments.CodeInvalid, "audit log %s: salt has %d bytes, not 32", dir, len(salt))
	}
	return salt, nil
}

func readAnchor(dir string) (Head, error) {
	path := filepath.Join(dir, anchorName)
	text, err := disk.ReadRegular(path, 1<<10)
	if err != nil {
		return Head{}, fmt.Errorf("audit log: %w", err)
	}
	var h Head
	if err := json.Unmarshal(text, &h); err != nil || !bytes.Equal(text, h.file()) {
		return Head{}, experiments.Errorf(experiments.CodeInvalid, "audit log: %s is not written as anchors are", path)
	}
	return h, nil
}

func (h Head) file() []byte { return fmt.Appendf(nil, "{\"seq\":%d,\"hash\":%q}\n", h.Seq, h.Hash) }

func writeAnchor(dir string, h Head) error {
	return atomicfile.WriteFile(filepath.Join(dir, anchorName), 0o600, func(w io.Writer) error {
		_, err := w.Write(h.file())
		return err
	})
}

// create makes what a new log begins with, where there is nothing of one; a process may have died over it.
func create(dir string) error {
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	if _, err := atomicfile.RemoveStale(dir); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	_, err := os.Stat(filepath.Join(dir, anchorName))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if found, err := segments(dir); err != nil || len(found) > 0 {
		return errors.Join(err, experiments.Errorf(experiments.CodeInvalid, "audit log %s has entries and no %s, which says where it ends; it was removed", dir, anchorName))
	}
	salt := make([]byte, 32)
	rand.Read(salt) // never fails
	if err := atomicfile.WriteFile(filepath.Join(dir, saltName), 0o600, func(w io.Writer) error { _, err := w.Write(salt); return err }); err != nil {
		return err
	}
	return writeAnchor(dir, Head{0, genesis(salt)})
}
