// Package audit keeps what was asked of a model and how it was decided: a log that only grows, in which every entry has
// the hash of the one before.
//
// The log is a folder: salt (the key of its keyed hashes), anchor.json (the last entry's number and hash) and segments
// N.jsonl, N the number of their first entry, of at most SegmentBytes each. Nothing is ever removed. docs/think.md has the
// format.
package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Kind is what an entry tells of.
type Kind string

// Kinds.
const (
	KindRequest Kind = "request" // a query was judged
	KindAnswer  Kind = "answer"  // the text for a judged query ended
	KindReview  Kind = "review"  // a person decided on a judged query
)

// Entry is a line of the log. It holds no text that was asked or generated.
type Entry struct {
	Seq      int64              `json:"seq"` // from 1
	Time     time.Time          `json:"time"`
	Kind     Kind               `json:"kind"`
	User     string             `json:"user"`
	Of       int64              `json:"of,omitempty"`       // of an answer or a review: its request's number
	Query    string             `json:"query,omitempty"`    // keyed hash
	Verdict  string             `json:"verdict,omitempty"`  // ALLOW, ESCALATION, DENY or REFUSE
	Scores   map[string]float64 `json:"scores,omitempty"`   // probabilities of the four
	Sections map[string]string  `json:"sections,omitempty"` // keyed hashes by name
	Outcome  string             `json:"outcome,omitempty"`  // of an answer: answered, withheld, cancelled, failed, refused or waits
	Reason   string             `json:"reason,omitempty"`   // why it was withheld or failed
	Model    string             `json:"model,omitempty"`    // SHA-256 of its files
	Decision string             `json:"decision,omitempty"` // of a review: allow, deny or expired
	Note     string             `json:"note,omitempty"`
	Previous string             `json:"previous"` // the hash of the entry before; the first has that of the salt
	Hash     string             `json:"hash,omitempty"`
}

// maxLine bounds an entry, bytes.
const maxLine = 64 << 10

// seal gives the line of an entry, its hash set.
func (e *Entry) seal() ([]byte, error) {
	e.Hash = ""
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	body := b.Bytes()[:b.Len()-2] // without }\n
	if len(body) > maxLine-128 {
		return nil, fmt.Errorf("audit: an entry of %d bytes: at most %d", len(body), maxLine-128)
	}
	e.Hash = digest(body)
	return fmt.Appendf(body, "%s%s\"}\n", hashField, e.Hash), nil
}

const hashField = `,"hash":"`

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// parse reads a line with its line break. Every line that is not exactly what seal writes is an error.
func parse(line []byte) (e Entry, err error) {
	const tail = len(hashField) + 2*sha256.Size + len("\"}\n")
	if len(line) > maxLine || len(line) < tail {
		return e, fmt.Errorf("it has %d bytes, which no entry has", len(line))
	}
	body, end := line[:len(line)-tail], string(line[len(line)-tail:])
	if end != hashField+digest(body)+"\"}\n" {
		return e, errors.New("its hash is not that of its content")
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e); err != nil {
		return e, fmt.Errorf("it is no entry: %w", err)
	}
	again := e
	if written, err := again.seal(); err != nil || !bytes.Equal(written, line) {
		return e, errors.New("it is not written as entries are")
	}
	return e, nil
}

// Keyed is the HMAC-SHA-256 of a text under a log's salt, in hexadecimal.
func Keyed(salt []byte, text string) string {
	mac := hmac.New(sha256.New, salt)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// genesis is what the first entry has as the hash before it.
func genesis(salt []byte) string { return digest(append([]byte("triality audit log\n"), salt...)) }
