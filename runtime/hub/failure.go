package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
)

// Kinds of failure, for errors.Is.
var (
	ErrNotFound    = errors.New("not found")            // no such repository, revision or file
	ErrAccess      = errors.New("access refused")       // the token is missing or may not
	ErrOffline     = errors.New("offline")              // not in the cache, and no request is allowed
	ErrUnreachable = errors.New("endpoint unreachable") // still failing after every retry
	ErrChecksum    = errors.New("checksum mismatch")    // what came is not what the endpoint announced
	ErrRefused     = errors.New("answer refused")       // the endpoint's answer is malformed or hostile
	ErrDiskFull    = errors.New("disk full")
)

// failure is an error of one of the kinds with its own words.
type failure struct {
	kind, cause error
	text        string
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return []error{f.kind, f.cause} }

// failf makes a failure; a %w among the arguments stays reachable.
func failf(kind error, format string, args ...any) error {
	cause := fmt.Errorf(format, args...)
	return &failure{kind: kind, cause: cause, text: cause.Error()}
}

// statusError is an answer that only its caller can judge.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

// subject is what a request is about, for messages.
type subject struct {
	ref  Ref
	file string // empty: the repository itself
}

func (s subject) String() string {
	if s.file == "" {
		return s.ref.Repo
	}
	return s.ref.Repo + "/" + s.file
}

// statusFailure turns an answer that is no success into an error that says what to do. It reads the
// body. The Hub's X-Error-Code header tells apart what shares a status.
func (c *Client) statusFailure(resp *http.Response, s subject) error {
	said := serverMessage(resp)
	if !c.sameOrigin(resp.Request.URL) && resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests {
		err := failf(ErrRefused, "%s: the object store %s answered %s%s", s, resp.Request.URL.Host, resp.Status, said)
		if resp.Request.Method == http.MethodGet {
			return &temporary{err: err} // the next try gets an address with a fresh signature
		}
		return err
	}
	code := resp.Header.Get("X-Error-Code")
	account := "set HF_TOKEN to a token of an account that may read it (" + c.endpoint + "/settings/tokens)"
	switch status := resp.StatusCode; {
	case code == "GatedRepo":
		if c.token != "" {
			account = "the token's account has not done so"
		} else {
			account = "then " + account
		}
		return failf(ErrAccess, "%s is gated: accept its terms at %s/%s; %s%s", s.ref.Repo, c.endpoint, s.ref.Repo, account, said)
	case status == http.StatusUnauthorized && c.token == "":
		return failf(ErrAccess, "%s: %s asks for a token: the repository is private or gated, or does not exist; %s%s", s, c.endpoint, account, said)
	case status == http.StatusUnauthorized:
		return failf(ErrAccess, "%s: %s does not accept the token, or the repository does not exist; %s%s", s, c.endpoint, account, said)
	case status == http.StatusForbidden:
		return failf(ErrAccess, "%s: the token may not do this at %s%s", s, c.endpoint, said)
	case status == http.StatusNotFound && code == "RevisionNotFound":
		return failf(ErrNotFound, "%s has no revision %q at %s", s.ref.Repo, s.ref.Revision, c.endpoint)
	case status == http.StatusNotFound && (code == "EntryNotFound" || s.file != "" && code == ""):
		return failf(ErrNotFound, "%s has no file %s at revision %s", s.ref.Repo, s.file, s.ref.Revision)
	case status == http.StatusNotFound:
		return failf(ErrNotFound, "%s has no repository %s (a private one looks the same without a token that may read it)", c.endpoint, s.ref.Repo)
	case status == http.StatusInsufficientStorage || status == http.StatusRequestEntityTooLarge:
		return failf(ErrAccess, "%s: %s has no room for this: %s%s", s, c.endpoint, resp.Status, said)
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500:
		return &temporary{err: failf(ErrUnreachable, "%s: %s answered %s%s", s, resp.Request.URL.Host, resp.Status, said), after: retryAfter(resp.Header)}
	default:
		return failf(ErrRefused, "%w", &statusError{status, fmt.Sprintf("%s: %s answered %s%s", s, resp.Request.URL.Host, resp.Status, said)})
	}
}

// serverMessage is the endpoint's own words, for the end of an error; control characters are dropped,
// since it goes to a terminal.
func serverMessage(resp *http.Response) string {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
	text := resp.Header.Get("X-Error-Message")
	if text == "" {
		var j struct {
			Error   string `json:"error"`
			Message string `json:"message"`
		}
		if json.Unmarshal(body, &j) == nil {
			text = or(j.Error, j.Message)
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	if text == "" {
		return ""
	}
	return fmt.Sprintf(" (it says: %s)", text)
}

// diskFailure names a full disk; other errors pass.
func diskFailure(err error, dir string) error {
	if isDiskFull(err) {
		return failf(ErrDiskFull, "the disk of %s is full; what came so far is kept, and the same command goes on from there once there is room, or choose another folder with HF_HUB_CACHE: %w", dir, err)
	}
	return err
}
